"""Follows the folders: one thread polls, loads, warms up and unloads.

The order of things is TensorFlow Serving's: a new version serves before an old one goes, so that no call fails in the
change.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from grpc import StatusCode

from serving.stand_in.loading import LoadFailed, LoadOptions, load
from serving.stand_in.model_config import ModelConfig
from serving.stand_in.models import Model, Versions
from serving.stand_in.status import STATUS_OF_CODE, StatusError

log = logging.getLogger(__name__)


class LoadError(Exception):
    """A version could not be loaded at start-up."""


@dataclass
class _Reload:
    """A configuration to take over.  failure: why a new model does not serve.  done: set when that is known."""

    configs: Sequence[ModelConfig]
    new_models: list[Model] = field(default_factory=list)
    failure: StatusError | None = None
    done: threading.Event = field(default_factory=threading.Event)


class FolderWatcher:
    """Keeps `versions` in step with what lies in the models' folders."""

    def __init__(self, versions: Versions, poll_wait_s: float, options: LoadOptions) -> None:
        """poll_wait_s: 0 looks at the folders only once."""
        self._versions = versions
        self._poll_wait_s = poll_wait_s
        self._options = options
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._reloads: SimpleQueue[_Reload] = SimpleQueue()
        self._pending: list[_Reload] = []  # applied, but not all of their new models serve yet
        self._complaint = ""  # of the last poll, so as not to repeat it every second
        # by model: the versions wanted now that need no load, be they serving or failed
        self._done: dict[str, set[int]] = defaultdict(set)

    def start(self, tell: Callable[[LoadError | None], object]) -> None:
        """Returns at once; tells None as soon as every model has a version, or why that will not come to be."""
        threading.Thread(target=self._run, args=(tell,), name="folders", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    def reload(self, configs: Sequence[ModelConfig], timeout_s: float | None) -> None:
        """Replaces the whole configuration; returns when every new model serves.  Raises StatusError.

        A new model whose base path is missing keeps its caller waiting, and stops the polling of all models.
        """
        reload = _Reload(configs)
        self._reloads.put(reload)
        self._wake.set()
        if not reload.done.wait(timeout_s):
            raise StatusError(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        if reload.failure is not None:
            raise reload.failure

    def _run(self, tell: Callable[[LoadError | None], object]) -> None:
        started = False
        while not self._stopping.is_set():
            self._poll()
            if not started:
                failure = self._failure()
                started = failure is None and all(model.available() for model in self._versions.models.values())
                if started or failure is not None:
                    tell(failure)
            self._finish_reloads()
            self._wake.wait(self._poll_wait_s if self._poll_wait_s > 0 else None)
            self._wake.clear()
            while not self._reloads.empty():
                reload = self._reloads.get()
                reload.new_models = self._versions.configure(reload.configs)
                self._pending.append(reload)

    def _finish_reloads(self) -> None:
        for reload in list(self._pending):
            failures = [failure for model in reload.new_models for failure in self._failures(model)]
            if failures:
                reload.failure = StatusError(
                    StatusCode.UNKNOWN, f"{len(failures)} model(s) did not become available: {{{''.join(failures)}}}"
                )
            if failures or all(model.available() for model in reload.new_models):
                self._pending.remove(reload)
                reload.done.set()

    def _failures(self, model: Model) -> list[str]:
        return [
            f"{{{{name: {model.config.name} version: {number}}} "
            f"due to error: {STATUS_OF_CODE[code].name}: {message}}}, "
            for number, (_, code, message) in self._versions.statuses(model.config.name).items()
            if code
        ]

    def _failure(self) -> LoadError | None:
        for name, model in self._versions.models.items():
            for number, (_, code, message) in self._versions.statuses(name).items():
                if code:
                    return LoadError(f"{name} version {number} of {model.config.base_path}: {message}")
        return None

    def _poll(self) -> None:
        complaint = ""
        try:
            found = [
                (model, {} if model.is_removed else model.config.versions_on_disk())
                for model in self._versions.models.values()
            ]
        except OSError as error:  # a base path that is gone stops the polling of all models, and unloads none
            found, complaint = [], f"file system access error: {error}"
        for model, folders in found:
            if not folders and not model.is_removed:
                complaint = f"{model.config.base_path}: no version of {model.config.name}: no folder named by a number"
            self._settle(model, folders)
        if complaint and complaint != self._complaint:
            log.warning(complaint)
        self._complaint = complaint

    def _settle(self, model: Model, folders: dict[int, Path]) -> None:
        """Loads what is wanted, the highest first, and unloads the rest, the lowest first.

        Until something wanted serves, one that is not wanted stays, unless nothing is wanted at all.
        """
        wanted, done = set(model.config.wanted(folders)), self._done[model.config.name]
        done &= wanted  # a failed version gets another chance once its folder was gone
        done |= wanted & model.available()
        self._versions.announce(model, wanted - done)
        while not self._stopping.is_set():
            serving = model.available()
            surplus, missing = serving - wanted, wanted - done
            if surplus and (not wanted or serving & wanted or len(surplus) > 1):
                self._versions.unload(model, min(surplus))
                log.info("unloaded %s version %d", model.config.name, min(surplus))
            elif missing:
                done.add(max(missing))
                self._load(model, max(missing), folders[max(missing)])
            else:
                return

    def _load(self, model: Model, number: int, folder: Path) -> None:
        self._versions.loading(model, number)
        try:
            servable = load(model.config.name, number, folder, self._options, self._stopping)
        except LoadFailed as failure:
            self._versions.failed(model, number, failure.code, str(failure))
        else:
            self._versions.loaded(model, servable)
