"""Following the models' folders: one thread polls them, and loads, warms up and unloads versions.

It works in TensorFlow Serving's order: a new version serves before an old one goes, so that no call fails meanwhile.
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
from serving.stand_in.models import Model, Models
from serving.stand_in.status import STATUS_OF_CODE, StatusError

log = logging.getLogger(__name__)


class LoadError(Exception):
    """A version could not be loaded at start-up."""


@dataclass
class _Reload:
    """A new configuration.  failure: why a new model does not serve.  done: set once all new models serve, or fail."""

    configs: Sequence[ModelConfig]
    new_models: list[Model] = field(default_factory=list)
    failure: StatusError | None = None
    done: threading.Event = field(default_factory=threading.Event)


class FolderWatcher:
    """Keeps the versions of `models` in step with the folders on disk."""

    def __init__(self, models: Models, poll_wait_s: float, options: LoadOptions) -> None:
        """poll_wait_s: seconds between two looks at the folders; 0 looks only once."""
        self._models = models
        self._poll_wait_s = poll_wait_s
        self._options = options
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._reloads: SimpleQueue[_Reload] = SimpleQueue()
        self._pending: list[_Reload] = []  # reloads that were applied, but not all of their new models serve yet
        self._complaint = ""  # of the last poll, so that it is logged only once
        # By model: the versions that were wanted when its folder was last followed.
        self._wanted: dict[str, set[int]] = defaultdict(set)
        # By model: those of them that have been loaded, or have failed, and so need no further load.
        self._done: dict[str, set[int]] = defaultdict(set)

    def start(self, tell: Callable[[LoadError | None], object]) -> None:
        """Start the thread.

        It calls `tell(None)` as soon as every model has a version, or `tell(error)` if one cannot be loaded.
        """
        threading.Thread(target=self._run, args=(tell,), name="folders", daemon=True).start()

    def stop(self) -> None:
        """End the thread, after a load that is under way."""
        self._stopping.set()
        self._wake.set()

    def reload(self, configs: Sequence[ModelConfig], timeout_s: float | None) -> None:
        """Replace the whole configuration, and return when every new model serves.

        Raises StatusError if a new model cannot be loaded, or the time is over. A new model whose base path is missing
        keeps its caller waiting, and stops the polling of all models, as under the real server.
        """
        reload = _Reload(configs)
        self._reloads.put(reload)
        self._wake.set()
        if not reload.done.wait(timeout_s):
            raise StatusError(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        if reload.failure is not None:
            raise reload.failure

    def _run(self, tell: Callable[[LoadError | None], object]) -> None:
        has_told = False
        while not self._stopping.is_set():
            self._poll()
            if not has_told:
                failure = self._failure()
                has_told = failure is None and all(model.available() for model in self._models.by_name.values())
                if has_told or failure is not None:
                    tell(failure)
            self._finish_reloads()
            self._wake.wait(self._poll_wait_s if self._poll_wait_s > 0 else None)
            self._wake.clear()
            while not self._reloads.empty():
                reload = self._reloads.get()
                reload.new_models = self._models.configure(reload.configs)
                self._pending.append(reload)

    def _finish_reloads(self) -> None:
        """Let the callers go whose new models all serve, or of whose new models one has failed."""
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
        """One text for each version that failed, as TensorFlow Serving words it."""
        return [
            f"{{{{name: {model.config.name} version: {number}}} "
            f"due to error: {STATUS_OF_CODE[code].name}: {message}}}, "
            for number, (_, code, message) in self._models.statuses(model.config.name).items()
            if code
        ]

    def _failure(self) -> LoadError | None:
        """The error of the first version that failed, of any model."""
        for name, model in self._models.by_name.items():
            for number, (_, code, message) in self._models.statuses(name).items():
                if code:
                    return LoadError(f"{name} version {number} of {model.config.base_path}: {message}")
        return None

    def _poll(self) -> None:
        """Look at all folders once, and load and unload accordingly."""
        complaint = ""
        try:
            found = [
                (model, {} if model.is_removed else model.config.versions_on_disk())
                for model in self._models.by_name.values()
            ]
        except OSError as error:  # a base path that is gone stops the polling of all models, and unloads none
            found, complaint = [], f"file system access error: {error}"
        for model, folders in found:
            if not folders and not model.is_removed:
                complaint = f"{model.config.base_path}: no version of {model.config.name}: no folder named by a number"
            self._follow(model, folders)
        if complaint and complaint != self._complaint:
            log.warning(complaint)
        self._complaint = complaint

    def _follow(self, model: Model, folders: dict[int, Path]) -> None:
        """Load the wanted versions, the highest first, and unload the others, the lowest first.

        Until a wanted version serves, one other version keeps serving, unless no version is wanted at all.
        """
        name, wanted = model.config.name, set(model.config.wanted(folders))
        if wanted & (model.available() - self._wanted[name]):
            # As under TensorFlow Serving: a version that was to go, but still serves because the one after it failed,
            # is not taken back. Until other versions are wanted, nothing changes, and the failed one stays failed.
            return
        self._wanted[name], done = wanted, self._done[name]
        done &= wanted  # a failed version is tried again once it was not wanted
        done |= wanted & model.available()
        self._models.announce(model, wanted - done)
        while not self._stopping.is_set():
            serving = model.available()
            surplus, missing = serving - wanted, wanted - done
            if surplus and (not wanted or serving & wanted or len(surplus) > 1):
                self._models.unload(model, min(surplus))
                log.info("unloaded %s version %d", name, min(surplus))
            elif missing:
                done.add(max(missing))
                self._load(model, max(missing), folders[max(missing)])
            else:
                return

    def _load(self, model: Model, number: int, folder: Path) -> None:
        self._models.loading(model, number)
        try:
            loaded = load(model.config.name, number, folder, self._options, self._stopping)
        except LoadFailed as failure:
            self._models.failed(model, number, failure.code, str(failure))
        else:
            self._models.loaded(model, loaded)
