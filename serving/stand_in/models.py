"""Every model, its versions and their states. Calls are answered from here while versions come and go."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from grpc import StatusCode
from tensorflow_serving.apis import get_model_status_pb2

from serving.stand_in.loaded_version import LoadedVersion
from serving.stand_in.model_config import ModelConfig
from serving.stand_in.status import StatusError

State = get_model_status_pb2.ModelVersionStatus


@dataclass
class _Version:
    """state: of the enum State.  code, message: of the error that ended it.  loaded: None while it cannot answer.
    calls: how many are running; the version is closed only when there are none."""

    state: int = State.START
    code: int = 0
    message: str = ""
    loaded: LoadedVersion | None = None
    calls: int = 0


@dataclass
class Model:
    """versions: all that there ever were, ended ones too.  is_removed: it left the configuration, and its versions go.

    Only Models changes it.
    """

    config: ModelConfig
    versions: dict[int, _Version] = field(default_factory=dict)
    is_removed: bool = False

    def available(self) -> set[int]:
        """The versions that answer calls."""
        return {number for number, version in self.versions.items() if version.state == State.AVAILABLE}


class Models:
    """The models that are or were in the configuration, by name.

    Any thread may read. Only the thread that loads and unloads changes models; a reload replaces the labels.
    """

    def __init__(self, configs: Sequence[ModelConfig]) -> None:
        self.by_name = {config.name: Model(config) for config in configs}
        self.labels = {config.name: config.labels for config in configs}  # model's name → label → version
        self._changes = threading.Condition()

    def configure(self, configs: Iterable[ModelConfig]) -> list[Model]:
        """Replace the configuration of all models, and return the models that were not in it before."""
        with self._changes:
            before = {name for name, model in self.by_name.items() if not model.is_removed}
            for model in self.by_name.values():
                model.is_removed = True
            new = []
            for config in configs:
                model = self.by_name.setdefault(config.name, Model(config))
                model.config, model.is_removed = config, False
                if config.name not in before:
                    new.append(model)
            return new

    def set_labels(self, labels: Mapping[str, Mapping[str, int]]) -> None:
        """Replace the labels of all models: model's name → label → version."""
        with self._changes:
            self.labels = {name: dict(versions) for name, versions in labels.items()}

    @contextmanager
    def using(self, model_name: str, number: int | None, label: str) -> Iterator[LoadedVersion]:
        """The version with that number or label, or else the highest AVAILABLE one; it stays loaded inside the block.

        Raises StatusError if there is no such version.
        """
        with self._changes:
            version = self._choose(model_name, number, label)
            version.calls += 1
        try:
            assert version.loaded is not None
            yield version.loaded
        finally:
            with self._changes:
                version.calls -= 1
                self._changes.notify_all()

    def statuses(self, model_name: str) -> dict[int, tuple[int, int, str]]:
        """version → (state, error code, error message); empty for an unknown model."""
        with self._changes:
            model = self.by_name.get(model_name)
            versions = model.versions.items() if model is not None else ()
            return {number: (version.state, version.code, version.message) for number, version in versions}

    def announce(self, model: Model, numbers: Iterable[int]) -> None:
        """Put these versions into state START, because they will be loaded."""
        with self._changes:
            model.versions.update((number, _Version()) for number in numbers)

    def loading(self, model: Model, number: int) -> None:
        """Put the version into state LOADING."""
        with self._changes:
            model.versions[number].state = State.LOADING

    def loaded(self, model: Model, loaded: LoadedVersion) -> None:
        """Put the version into state AVAILABLE."""
        with self._changes:
            version = model.versions[loaded.number]
            version.loaded, version.state = loaded, State.AVAILABLE

    def failed(self, model: Model, number: int, code: int, message: str) -> None:
        """Put the version into state END, with the error that kept it from loading."""
        with self._changes:
            version = model.versions[number]
            version.state, version.code, version.message = State.END, code, message

    def unload(self, model: Model, number: int) -> None:
        """Give the version to no new call, wait for its running calls, and free its memory."""
        with self._changes:
            version = model.versions[number]
            version.state = State.UNLOADING
            self._changes.wait_for(lambda: version.calls == 0)
            loaded, version.loaded, version.state = version.loaded, None, State.END
        assert loaded is not None
        loaded.close()

    def _choose(self, model_name: str, number: int | None, label: str) -> _Version:
        model = self.by_name.get(model_name)
        if label:
            if label not in self.labels.get(model_name, {}):
                raise StatusError(StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
            number = self.labels[model_name][label]
        request = f"Latest({model_name})" if number is None else f"Specific({model_name}, {number})"
        available = model.available() if model is not None else set()
        chosen = max(available, default=None) if number is None else number
        if model is None or chosen not in available:
            raise StatusError(StatusCode.NOT_FOUND, f"Servable not found for request: {request}")
        return model.versions[chosen]
