"""A stand-in over a folder of versions that come and go, and a client that knows which of them answered."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.support.processes import Server, served
from tests.support.saved_models import save_lookup

State = get_model_status_pb2.ModelVersionStatus
POLL_S = 0.1


def save_versions(folder: Path) -> None:
    """Models 1, 2 and 3, to be copied into a served folder."""
    for version in (1, 2, 3):
        save_lookup(folder / str(version), scale=version)


class Client:
    def __init__(self, channel: grpc.Channel) -> None:
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self._model = model_service_pb2_grpc.ModelServiceStub(channel)

    def predict(self, version: int | None = None) -> int:
        """The version that answered, which the value must confirm."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "lookup"
        if version is not None:
            request.model_spec.version.value = version
        request.inputs["user_id"].dtype = 9
        request.inputs["user_id"].tensor_shape.dim.add().size = 1
        request.inputs["user_id"].int64_val.append(1)
        response = self._prediction.Predict(request, timeout=10)
        answered = int(response.model_spec.version.value)
        assert list(response.outputs["user_embedding"].float_val) == [answered, -answered]
        return answered

    def statuses(self) -> dict[int, Any]:
        """version → ModelVersionStatus"""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "lookup"
        return {status.version: status for status in self._model.GetModelStatus(request).model_version_status}

    def wait_for(self, version: int, state: int) -> Any:
        """The version's ModelVersionStatus, once it is in that state."""
        deadline = time.monotonic() + 20
        while True:
            status = self.statuses().get(version)
            if status is not None and status.state == state:
                return status
            assert time.monotonic() < deadline, f"version {version} is {status}"
            time.sleep(0.05)


@contextmanager
def serving(base: Path, *flags: str, policy: str = "") -> Iterator[tuple[Server, Client]]:
    config = base.with_suffix(".config")
    config.write_text(
        f'model_config_list {{ config {{ name: "lookup" base_path: "{base}" model_platform: "tensorflow" {policy} }} }}'
    )
    command = [sys.executable, "-m", "serving", "--port=0", f"--model_config_file={config}", "--max_num_load_retries=0"]
    with served(
        [*command, f"--file_system_poll_wait_seconds={POLL_S}", *flags], base.with_suffix(".log"), {}
    ) as server:
        address = server.wait_for_line(r"Running gRPC ModelServer at (\S+) \.\.\.")[1]
        with grpc.insecure_channel(address) as channel:
            yield server, Client(channel)


def publish(
    versions: Path,
    base: Path,
    version: int,
    prepare: Callable[[Path], object] = lambda folder: None,
    like: int | None = None,
) -> None:
    """A copy of that version, or of `like`, under a name that is skipped first, then renamed into place."""
    staged = base / f".staging-{version}"
    shutil.copytree(versions / str(version if like is None else like), staged)
    prepare(staged)
    staged.rename(base / str(version))
