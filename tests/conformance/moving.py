"""A model of a test's own, whose versions come and go; and which of them answers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from tensorflow_serving.apis import get_model_status_pb2

from tests.conformance.prepared import model_config, models_config
from tests.conformance.requests import ids, predict, status
from tests.conformance.target import Target
from tools.processes import wait_for

State = get_model_status_pb2.ModelVersionStatus
KEEP_TWO = "model_version_policy { latest { num_versions: 2 } }"


@dataclass(frozen=True)
class Moving:
    """name: nobody else's, ever, because a server remembers which versions it has had."""

    target: Target
    folder: Path
    name: str

    @property
    def base(self) -> Path:
        return self.folder / "moving" / self.name

    def config(self, rest: str = "") -> str:
        return model_config(self.name, self.base, rest)

    def serve(self, rest: str = "", timeout: float = 20) -> None:
        """Adds the model to those of the table, or changes its configuration.  rest: policy and labels."""
        self.target.reload(*models_config(self.folder), self.config(rest), timeout=timeout)

    def publish(self, version: int, prepare: Callable[[Path], object] = lambda folder: None, like: str = "") -> None:
        """That version, or what lies under spare/`like`: under a name that is skipped first, then renamed."""
        staged = self.base / f".staging-{version}"
        shutil.copytree(self.folder / "spare" / (like or str(version)), staged)
        prepare(staged)
        staged.rename(self.base / str(version))

    def predict(self, version: int | None = None, label: str = "") -> int:
        """The version that answered, which the value must confirm."""
        response = self.target.call(predict(ids(1), self.name, version, label))
        answered = int(response.model_spec.version.value)
        assert list(response.outputs["user_embedding"].float_val) == [answered, -answered]
        return answered

    def statuses(self) -> dict[int, Any]:
        """version → ModelVersionStatus; empty for a model that the server has not heard of."""
        try:
            response = self.target.call(status(self.name))
        except grpc.RpcError as error:
            if isinstance(error, grpc.Call) and error.code() == grpc.StatusCode.NOT_FOUND:
                return {}
            raise
        return {status.version: status for status in response.model_version_status}

    def wait_for(self, version: int, state: int) -> Any:
        """The version's ModelVersionStatus, once it is in that state."""
        wait_for(
            lambda: version in (found := self.statuses()) and found[version].state == state,
            f"version {version} is {State.State.Name(state)}",
        )
        return self.statuses()[version]

    def wait_polls(self) -> None:
        """Long enough for the server to look at the folder twice."""
        time.sleep(2 * self.target.poll_s + 0.2)
