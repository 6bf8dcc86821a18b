"""HandleReloadConfigRequest: models come, change and go while the stand-in serves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc, prediction_service_pb2_grpc

from tests.model_server.folders import State, publish, save_versions, serving
from tests.support.errors import failure_of
from tests.support.saved_models import save_lookup


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("versions")
    save_versions(folder)
    return folder


class Server:
    """A stand-in that serves version 1 of `lookup`, from a folder with 1 and 2 and room for others."""

    def __init__(self, base: Path, address: str, client: Any) -> None:
        self.base, self.client = base, client
        self.channel = grpc.insecure_channel(address)
        self._models = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)

    def reload(self, *configs: str, timeout: float = 20) -> Any:
        request = model_management_pb2.ReloadConfigRequest()
        text_format.Parse("".join(f"config {{ {config} }}" for config in configs), request.config.model_config_list)
        return self._models.HandleReloadConfigRequest(request, timeout=timeout)

    def raw_reload(self, request: Any) -> Any:
        return self._models.HandleReloadConfigRequest(request, timeout=10)

    def lookup(self, rest: str = "") -> str:
        return f'name: "lookup" base_path: "{self.base}" model_platform: "tensorflow" {rest}'

    def other(self) -> str:
        return f'name: "other" base_path: "{self.base.parent / "other"}" model_platform: "tensorflow"'


@pytest.fixture
def server(versions: Path, tmp_path: Path) -> Iterator[Server]:
    base = tmp_path / "lookup"
    publish(versions, base, 1)
    publish(versions, base, 2)
    with serving(base, policy="model_version_policy { specific { versions: 1 } }") as (process, client):
        running = Server(base, process.wait_for_line(r"Running gRPC ModelServer at (\S+) \.\.\.")[1], client)
        with running.channel:
            yield running


def test_a_policy_changes_and_labels_follow(server: Server) -> None:
    assert server.client.predict() == 1
    response = server.reload(server.lookup("model_version_policy { all {} }"))
    assert response.status.error_code == 0
    server.client.wait_for(2, State.AVAILABLE)
    server.reload(server.lookup('model_version_policy { all {} } version_labels { key: "new" value: 2 }'))
    assert server.client.predict() == 2
    failure = failure_of(lambda: server.reload(server.lookup('version_labels { key: "new" value: 7 }')))
    assert failure.code == "FAILED_PRECONDITION"
    assert failure.message == (
        "Request to assign label to version 7 of model lookup, which is not currently available for inference"
    )


def test_a_new_model_serves_when_the_call_returns_and_a_removed_one_goes(server: Server, tmp_path: Path) -> None:
    save_lookup(tmp_path / "other" / "5", scale=5)
    server.reload(server.lookup(), server.other())
    assert server.client.predict() in (1, 2)
    server.reload(server.other())
    server.client.wait_for(1, State.END)
    assert failure_of(lambda: server.client.predict()).message == "Servable not found for request: Latest(lookup)"
    server.reload(server.lookup(), server.other())
    assert server.client.predict() == 2


def test_a_new_model_without_a_folder_keeps_its_caller_waiting_until_there_is_one(
    server: Server, tmp_path: Path
) -> None:
    failure = failure_of(lambda: server.reload(server.lookup(), server.other(), timeout=0.5))
    assert failure.code == "DEADLINE_EXCEEDED"
    assert server.client.predict() == 1
    save_lookup(tmp_path / "staged" / "5", scale=5)
    (tmp_path / "staged").rename(tmp_path / "other")
    server.reload(server.lookup(), server.other())


def test_a_new_model_that_cannot_be_loaded_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "other" / "1").mkdir(parents=True)
    failure = failure_of(lambda: server.reload(server.lookup(), server.other()))
    assert failure.code == "UNKNOWN"
    assert failure.message.startswith("1 servable(s) did not become available: {{name: other version: 1} due to error:")
    assert server.client.predict() in (1, 2)


def test_a_bad_configuration_changes_nothing(server: Server) -> None:
    for configs, message in (
        (['name: "a" base_path: "/a" model_platform: "tensorflow"'] * 2, "expected unique model names, got a, a"),
        (['name: "a" base_path: "a" model_platform: "tensorflow"'], "expected an absolute path, got 'a'"),
        (['name: "a" base_path: "/a" model_platform: "torch"'], "expected model_platform tensorflow, got 'torch'"),
    ):
        failure = failure_of(partial(server.reload, *configs))
        assert failure.code == "INVALID_ARGUMENT"
        assert message in failure.message
    nothing = failure_of(lambda: server.raw_reload(model_management_pb2.ReloadConfigRequest()))
    assert nothing.code == "INVALID_ARGUMENT"
    assert server.client.predict() == 1
