"""A model that belongs to one test, whose versions come and go."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
from tensorflow_serving.apis import get_model_status_pb2

from protos.tfserving.v1 import predict_pb2 as pb
from tests.conformance.prepared import model_config, models_config
from tests.conformance.requests import ids, predict, status
from tests.conformance.target import Target
from tools.processes import wait_for

State = get_model_status_pb2.ModelVersionStatus
KEEP_TWO = "model_version_policy { latest { num_versions: 2 } }"


@dataclass(frozen=True)
class Moving:
    """name: used by no other test, because a server remembers which versions of a model it has had."""

    target: Target
    folder: Path
    name: str

    @property
    def base(self) -> Path:
        """The model's base path."""
        return self.folder / "moving" / self.name

    def config(self, rest: str = "") -> str:
        """The model's ModelConfig.  rest: its policy and labels."""
        return model_config(self.name, self.base, rest)

    def serve(self, rest: str = "", timeout: float = 60) -> None:
        """Add the model to those of the table, or change its policy and labels to `rest`."""
        self.target.reload(*models_config(self.folder), self.config(rest), timeout=timeout)

    def publish(self, version: int, prepare: Callable[[Path], object] = lambda folder: None, like: str = "") -> None:
        """Publish a copy of spare/<version>, or of spare/<like>, after `prepare` has changed it.

        The copy has a name that servers skip, until it is renamed.
        """
        staged = self.base / f".staging-{version}"
        shutil.copytree(self.folder / "spare" / (like or str(version)), staged)
        prepare(staged)
        staged.rename(self.base / str(version))

    def predict(self, version: int | None = None, label: str = "") -> int:
        """Call Predict, and return the version that answered; the values of its answer must confirm it."""
        response = self.target.call(predict(ids(1), self.name, version, label))
        answered = int(response.model_spec.version.value)
        assert list(response.outputs["user_embedding"].float_val) == [answered, -answered]
        return answered

    def statuses(self) -> dict[int, pb.ModelVersionStatus]:
        """version → ModelVersionStatus; empty for a model that the server does not know."""
        try:
            response = pb.GetModelStatusResponse.FromString(self.target.status_bytes(status(self.name)))
        except grpc.RpcError as error:
            if isinstance(error, grpc.Call) and error.code() == grpc.StatusCode.NOT_FOUND:
                return {}
            raise
        return {status.version: status for status in response.model_version_status}

    def wait_for(self, version: int, state: int) -> pb.ModelVersionStatus:
        """Wait until the version is in that state, and return its ModelVersionStatus."""
        wait_for(
            lambda: version in (found := self.statuses()) and found[version].state == state,
            f"version {version} is {State.State.Name(state)}",
        )
        return self.statuses()[version]

    def wait_polls(self) -> None:
        """Wait until the server must have looked at the folder twice."""
        time.sleep(2 * self.target.poll_s + 0.2)
