"""Which versions are loaded: polls the folders, loads and warms up in the background, unloads what is no longer wanted.

A new version serves before an old one goes, so that no call fails in the change.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import tensorflow as tf
from grpc import StatusCode
from tensorflow_serving.apis import get_model_status_pb2

from serving.config import ModelConfig
from serving.servable import Servable
from serving.status import STATUS_OF_CODE, StatusError
from serving.warmup import warm_up

log = logging.getLogger(__name__)

State = get_model_status_pb2.ModelVersionStatus


class LoadError(Exception):
    """A version could not be loaded at start-up."""


@dataclass(frozen=True)
class LoadOptions:
    """TensorFlow Serving's flags of the same names."""

    poll_wait_s: float
    max_num_retries: int
    retry_interval_s: float
    warm_up: bool
    as_content: bool


@dataclass
class Version:
    """A version's life.  `calls` counts those under way, for it is closed only when there are none."""

    state: int = State.START
    code: int = 0
    message: str = ""
    servable: Servable | None = None
    calls: int = 0


@dataclass
class _Model:
    config: ModelConfig
    versions: dict[int, Version] = field(default_factory=dict)

    def available(self) -> list[int]:
        """Ascending."""
        return sorted(number for number, version in self.versions.items() if version.state == State.AVAILABLE)


class ModelManager:
    """Holds every model's versions. One thread polls, loads and unloads."""

    def __init__(self, configs: list[ModelConfig], options: LoadOptions) -> None:
        self._models = {config.name: _Model(config) for config in configs}
        self._options = options
        self._lock = threading.Condition()  # guards the versions' fields
        self._stopping = threading.Event()

    def start(self) -> None:
        """Returns once every model has a version AVAILABLE.  Raises LoadError if one cannot be loaded by then."""
        while not self._stopping.is_set():
            for model in self._models.values():
                self._poll(model)
                failed = [v for v in model.versions.values() if v.state == State.END and v.code]
                if failed:
                    raise LoadError(f"{model.config.name}: {failed[0].message}")
            if all(model.available() for model in self._models.values()):
                break
            self._stopping.wait(self._options.poll_wait_s)
        threading.Thread(target=self._poll_for_ever, name="versions", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    @contextmanager
    def servable(self, model_name: str, version: int | None, label: str) -> Iterator[Servable]:
        """The wanted version, or the highest AVAILABLE; stays loaded meanwhile.  Raises StatusError."""
        with self._lock:
            chosen = self._choose(model_name, version, label)
            chosen.calls += 1
        try:
            assert chosen.servable is not None
            yield chosen.servable
        finally:
            with self._lock:
                chosen.calls -= 1
                self._lock.notify_all()

    def statuses(self, model_name: str) -> dict[int, tuple[int, int, str]]:
        """version → (state, error code, error message); empty for an unknown model."""
        with self._lock:
            model = self._models.get(model_name)
            versions = model.versions.items() if model is not None else ()
            return {number: (v.state, v.code, v.message) for number, v in versions}

    def _choose(self, model_name: str, version: int | None, label: str) -> Version:
        model = self._models.get(model_name)
        if label:
            if model is None or label not in model.config.labels:
                raise StatusError(StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
            version = model.config.labels[label]
        request = f"Latest({model_name})" if version is None else f"Specific({model_name}, {version})"
        available = model.available() if model is not None else []
        number = max(available, default=None) if version is None else version
        if model is None or number not in available:
            raise StatusError(StatusCode.NOT_FOUND, f"Servable not found for request: {request}")
        return model.versions[number]

    def _poll_for_ever(self) -> None:
        while not self._stopping.wait(self._options.poll_wait_s):
            for model in self._models.values():
                try:
                    self._poll(model)
                except OSError as error:
                    log.warning("%s: %s", model.config.base_path, error)

    def _poll(self, model: _Model) -> None:
        wanted = model.config.wanted(model.config.versions_on_disk())
        for number in wanted:
            known = model.versions.get(number)
            # a version that failed is not tried again, one that was unloaded is
            if known is None or (known.state == State.END and not known.code):
                self._load(model, number)
        available = model.available()
        if wanted and not set(wanted) & set(available):
            return  # nothing to take over yet
        for number in available:
            if number not in wanted:
                self._unload(model, number)

    def _load(self, model: _Model, number: int) -> None:
        version = Version(state=State.LOADING)
        with self._lock:
            model.versions[number] = version
        name, folder = model.config.name, model.config.base_path / str(number)
        for attempt in range(self._options.max_num_retries + 1):
            if attempt and self._stopping.wait(self._options.retry_interval_s):
                return
            started = time.monotonic()
            try:
                servable = Servable(name, number, folder, self._options.as_content)
                warmed_up = warm_up(servable, folder) if self._options.warm_up else 0
            except (StatusError, tf.errors.OpError, OSError, RuntimeError, ValueError) as error:
                code, message = _explain(error)
                log.error("cannot load %s version %d from %s: %s", name, number, folder, message)
                continue
            with self._lock:
                version.servable, version.state = servable, State.AVAILABLE
            log.info(
                "Successfully loaded servable version {name: %s version: %d} in %.1f s, %d warm-up requests",
                name,
                number,
                time.monotonic() - started,
                warmed_up,
            )
            return
        with self._lock:
            version.state, version.code, version.message = State.END, code, message

    def _unload(self, model: _Model, number: int) -> None:
        version = model.versions[number]
        with self._lock:
            version.state = State.UNLOADING
            self._lock.wait_for(lambda: version.calls == 0)
            servable, version.servable, version.state = version.servable, None, State.END
        if servable is not None:
            servable.close()
        log.info("Done unloading servable version {name: %s version: %d}", model.config.name, number)


def _explain(error: Exception) -> tuple[int, str]:
    """(numeric status code, message)"""
    if isinstance(error, StatusError):
        return error.code.value[0], error.message
    if isinstance(error, tf.errors.OpError):
        return error.error_code, error.message
    return STATUS_OF_CODE[2].value[0], str(error)
