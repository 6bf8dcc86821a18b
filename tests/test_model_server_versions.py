"""Versions come and go under the stand-in as under TensorFlow Serving: no call fails in a change."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.support.errors import failure_of
from tests.support.processes import Server, served
from tests.support.saved_models import save_lookup, warmup_record, write_warmup

State = get_model_status_pb2.ModelVersionStatus


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models 1, 2 and 3, to be copied into a served folder."""
    folder = tmp_path_factory.mktemp("versions")
    for version in (1, 2, 3):
        save_lookup(folder / str(version), scale=version)
    return folder


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
    config.write_text(f'model_config_list {{ config {{ name: "lookup" base_path: "{base}" {policy} }} }}')
    command = [sys.executable, "-m", "serving", "--port=0", f"--model_config_file={config}", "--max_num_load_retries=0"]
    with served([*command, "--file_system_poll_wait_seconds=0.2", *flags], base.with_suffix(".log"), {}) as server:
        address = server.wait_for_line(r"Running gRPC ModelServer at (\S+) \.\.\.")[1]
        with grpc.insecure_channel(address) as channel:
            yield server, Client(channel)


def publish(versions: Path, base: Path, version: int, prepare: Callable[[Path], object] = lambda folder: None) -> None:
    """Under a name that is skipped first, then renamed into place."""
    staged = base / f".staging-{version}"
    shutil.copytree(versions / str(version), staged)
    prepare(staged)
    staged.rename(base / str(version))


def test_a_new_version_takes_over_without_a_failed_call(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    publish(versions, base, 1)
    with serving(base) as (_, client):
        answers: list[int] = []
        stop = threading.Event()

        def call() -> None:
            while not stop.is_set():
                answers.append(client.predict())

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        publish(versions, base, 2)
        client.wait_for(1, State.END)
        stop.set()
        for caller in callers:
            caller.join()
        assert {1, 2} == set(answers)
        assert answers[-1] == 2
        assert (
            failure_of(lambda: client.predict(version=1)).message
            == "Servable not found for request: Specific(lookup, 1)"
        )


def test_two_versions_are_kept_under_num_versions_2_and_pinned_calls_get_theirs(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    publish(versions, base, 1)
    with serving(base, policy="model_version_policy { latest { num_versions: 2 } }") as (_, client):
        publish(versions, base, 2)
        client.wait_for(2, State.AVAILABLE)
        assert (client.predict(), client.predict(version=1), client.predict(version=2)) == (2, 1, 2)
        publish(versions, base, 3)
        client.wait_for(1, State.END)
        assert (client.predict(), client.predict(version=2)) == (3, 2)


def test_deleting_the_newest_goes_back_to_the_older(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    publish(versions, base, 1)
    publish(versions, base, 2)
    with serving(base) as (_, client):
        assert client.predict() == 2
        shutil.rmtree(base / "2")
        client.wait_for(2, State.END)
        assert client.predict() == 1


def test_only_the_specified_versions_are_served(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    for version in (1, 2, 3):
        publish(versions, base, version)
    (base / "temporary").mkdir()
    with serving(base, policy="model_version_policy { specific { versions: 1 versions: 3 } }") as (_, client):
        assert sorted(client.statuses()) == [1, 3]


def _corrupt_graph(folder: Path) -> None:
    (folder / "saved_model.pb").write_bytes(b"nonsense")


def _failing_warmup(folder: Path) -> None:
    write_warmup(folder, warmup_record(1), warmup_record(5000))


def _corrupt_warmup(folder: Path) -> None:
    write_warmup(folder, warmup_record(1))
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)


def _too_much_warmup(folder: Path) -> None:
    write_warmup(folder, *([warmup_record(1)] * 1001))


@pytest.mark.parametrize(
    ("damage", "code"),
    [(_corrupt_graph, None), (_failing_warmup, 3), (_corrupt_warmup, 15), (_too_much_warmup, 3)],
    ids=["corrupt graph", "failing warm-up", "corrupt warm-up", "1,001 warm-up records"],
)
def test_a_version_that_cannot_load_ends_with_its_error_and_the_old_one_serves(
    versions: Path, tmp_path: Path, damage: Callable[[Path], None], code: int | None
) -> None:
    base = tmp_path / "lookup"
    publish(versions, base, 1, lambda folder: write_warmup(folder, warmup_record(1), b""))
    with serving(base) as (_, client):
        publish(versions, base, 2, damage)
        status = client.wait_for(2, State.END)
        assert status.status.error_message
        assert code is None or status.status.error_code == code
        assert client.predict() == 1


def test_the_port_opens_only_after_the_first_version_is_loaded(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    command = [sys.executable, "-m", "serving", "--port=0", "--model_name=lookup", f"--model_base_path={base}"]
    with served(command, tmp_path / "log", {}) as server:
        time.sleep(4)
        assert "Running gRPC ModelServer" not in server.text()
        publish(versions, base, 1)
        server.wait_for_line("Running gRPC ModelServer")
        assert server.stop(signal.SIGTERM) == 0


def test_a_first_version_that_cannot_load_ends_the_process(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    publish(versions, base, 1, _corrupt_graph)
    command = [sys.executable, "-m", "serving", "--port=0", f"--model_base_path={base}", "--max_num_load_retries=0"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert "cannot load default version 1" in run.stderr


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--no_such_flag"], "error: unknown argument: --no_such_flag"),
        ([], "error: expected --model_base_path or --model_config_file"),
        (
            ["--model_base_path=/x", "--enable_batching=perhaps", "--enable_model_warmup=perhaps"],
            "expected true or false",
        ),
    ],
)
def test_a_wrong_flag_ends_the_process_with_one_line(flags: list[str], complaint: str) -> None:
    run = subprocess.run([sys.executable, "-m", "serving", *flags], capture_output=True, text=True, timeout=60)
    assert run.returncode == 255
    assert complaint in run.stderr
    assert run.stderr.count("\n") == 1
