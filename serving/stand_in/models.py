"""The versions of every model and their states: what requests are answered from, while versions come and go."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from grpc import StatusCode
from tensorflow_serving.apis import get_model_status_pb2

from serving.stand_in.loaded_version import Servable
from serving.stand_in.model_config import ModelConfig
from serving.stand_in.status import StatusError

State = get_model_status_pb2.ModelVersionStatus


@dataclass
class _Version:
    """calls: how many are under way, for it is closed only when there are none."""

    state: int = State.START
    code: int = 0
    message: str = ""
    servable: Servable | None = None
    calls: int = 0


@dataclass
class Model:
    """versions: all that ever were.  is_removed: from the configuration; its versions go.  Versions guards them."""

    config: ModelConfig
    versions: dict[int, _Version] = field(default_factory=dict)
    is_removed: bool = False

    def available(self) -> set[int]:
        return {number for number, version in self.versions.items() if version.state == State.AVAILABLE}


class Versions:
    """Of every model.  Any thread may ask; one thread, which loads and unloads, makes the changes."""

    def __init__(self, configs: Iterable[ModelConfig]) -> None:
        self.models = {config.name: Model(config) for config in configs}
        self._changes = threading.Condition()

    def configure(self, configs: Iterable[ModelConfig]) -> list[Model]:
        """These are the models from now on; returns those that were none before."""
        with self._changes:
            before = {name for name, model in self.models.items() if not model.is_removed}
            for model in self.models.values():
                model.is_removed = True
            new = []
            for config in configs:
                model = self.models.setdefault(config.name, Model(config))
                model.config, model.is_removed = config, False
                if config.name not in before:
                    new.append(model)
            return new

    @contextmanager
    def servable(self, model_name: str, version: int | None, label: str) -> Iterator[Servable]:
        """The wanted version, or the highest AVAILABLE; stays loaded meanwhile.  Raises StatusError."""
        with self._changes:
            chosen = self._choose(model_name, version, label)
            chosen.calls += 1
        try:
            assert chosen.servable is not None
            yield chosen.servable
        finally:
            with self._changes:
                chosen.calls -= 1
                self._changes.notify_all()

    def statuses(self, model_name: str) -> dict[int, tuple[int, int, str]]:
        """version → (state, error code, error message); empty for an unknown model."""
        with self._changes:
            model = self.models.get(model_name)
            versions = model.versions.items() if model is not None else ()
            return {number: (v.state, v.code, v.message) for number, v in versions}

    def announce(self, model: Model, numbers: Iterable[int]) -> None:
        """They will be loaded, for the first time or again."""
        with self._changes:
            model.versions.update((number, _Version()) for number in numbers)

    def loading(self, model: Model, number: int) -> None:
        with self._changes:
            model.versions[number].state = State.LOADING

    def loaded(self, model: Model, servable: Servable) -> None:
        with self._changes:
            version = model.versions[servable.version]
            version.servable, version.state = servable, State.AVAILABLE

    def failed(self, model: Model, number: int, code: int, message: str) -> None:
        with self._changes:
            version = model.versions[number]
            version.state, version.code, version.message = State.END, code, message

    def unload(self, model: Model, number: int) -> None:
        """No new call gets it; it is closed when those under way have ended."""
        with self._changes:
            version = model.versions[number]
            version.state = State.UNLOADING
            self._changes.wait_for(lambda: version.calls == 0)
            servable, version.servable, version.state = version.servable, None, State.END
        assert servable is not None
        servable.close()

    def _choose(self, model_name: str, version: int | None, label: str) -> _Version:
        model = self.models.get(model_name)
        if label:
            if model is None or label not in model.config.labels:
                raise StatusError(StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
            version = model.config.labels[label]
        request = f"Latest({model_name})" if version is None else f"Specific({model_name}, {version})"
        available = model.available() if model is not None else set()
        number = max(available, default=None) if version is None else version
        if model is None or number not in available:
            raise StatusError(StatusCode.NOT_FOUND, f"Servable not found for request: {request}")
        return model.versions[number]
