"""What the stand-in's flags and signals do, and what keeps it from starting."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.support.errors import failure_of
from tests.support.processes import Server, health_status, served
from trainer.tensorflow_quietly import tf


def save_slow(folder: Path) -> None:
    """seconds float64[] → waited float64[]: answers when that time has passed."""

    def wait(seconds: Any) -> Any:
        start = tf.timestamp()
        end = tf.while_loop(lambda now: now < start + seconds, lambda now: (tf.timestamp(),), [start])[0]
        return {"waited": end - start}

    module: Any = tf.Module()
    module.wait = tf.function(wait, input_signature=[tf.TensorSpec([], tf.float64, name="seconds")])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.wait})


def predict_of(channel: grpc.Channel) -> Any:
    """The stub's Predict."""
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict


def wait_request(seconds: float) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "slow"
    request.inputs["seconds"].dtype = types_pb2.DT_DOUBLE
    request.inputs["seconds"].double_val.append(seconds)
    return request


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("slow")
    save_slow(base / "1")
    return base


@pytest.fixture(scope="module")
def limited(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with two threads."""
    flags = ["--port=0", "--model_name=slow", f"--model_base_path={base}", "--grpc_max_threads=2"]
    command = [sys.executable, "-m", "serving", *flags, "--enable_serialization_as_tensor_content"]
    with served(command, tmp_path_factory.mktemp("log") / "log", {}) as server:
        yield address_of(server)


def address_of(server: Server) -> str:
    return server.wait_for_line(r"Running gRPC ModelServer at (\S+) \.\.\.")[1]


def test_calls_beyond_the_threads_are_refused_at_once(limited: str) -> None:
    with grpc.insecure_channel(limited) as channel:
        predict = predict_of(channel)
        calls = [predict.future(wait_request(1.0), timeout=10) for _ in range(2)]
        time.sleep(0.3)
        failure = failure_of(lambda: predict(wait_request(0.0), timeout=10))
        assert failure.code == "RESOURCE_EXHAUSTED"
        assert all(call.result() for call in calls)
        assert predict(wait_request(0.0), timeout=10)


def test_a_call_past_its_deadline_fails(limited: str) -> None:
    with grpc.insecure_channel(limited) as channel:
        failure = failure_of(lambda: predict_of(channel)(wait_request(1.0), timeout=0.2))
        assert failure.code == "DEADLINE_EXCEEDED"


def test_answers_come_as_content_if_asked_for(limited: str) -> None:
    with grpc.insecure_channel(limited) as channel:
        response = predict_of(channel)(wait_request(0.1), timeout=10)
    waited = response.outputs["waited"]
    assert not waited.double_val
    assert np.frombuffer(waited.tensor_content, "<f8")[0] > 0.09


def test_there_is_no_health_service_unless_asked_for(limited: str) -> None:
    assert health_status(limited) == "UNIMPLEMENTED"


def test_other_calls_are_unimplemented(limited: str) -> None:
    with grpc.insecure_channel(limited) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = classification_pb2.ClassificationRequest()
        assert failure_of(lambda: stub.Classify(request)).code == "UNIMPLEMENTED"


def test_sigterm_lets_calls_finish_but_not_for_ever(base: Path, tmp_path: Path) -> None:
    flags = ["--port=0", "--model_name=slow", f"--model_base_path={base}"]
    with served([sys.executable, "-m", "serving", *flags], tmp_path / "log", {}) as server:
        address = address_of(server)
        with grpc.insecure_channel(address) as channel:
            predict = predict_of(channel)
            short, endless = (predict.future(wait_request(seconds), timeout=60) for seconds in (1.5, 600))
            time.sleep(0.5)
            server.send(signal.SIGTERM)
            server.wait_for_line("stopping")
            with grpc.insecure_channel(address) as late:
                assert failure_of(lambda: predict_of(late)(wait_request(0.0), timeout=5)).code == "UNAVAILABLE"
            assert short.result()
            assert failure_of(endless.result).code in ("CANCELLED", "UNAVAILABLE")
        assert server.process.wait(timeout=2) == 0


def test_sigint_stops_a_server_that_still_waits_for_a_model(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serving", "--port=0", f"--model_base_path={tmp_path / 'nothing'}"]
    with served(command, tmp_path / "log", {}) as server:
        server.wait_for_line("file system access error")
        assert server.stop(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (
            'model_platform: "tensorflow" version_labels { key: "stable" value: 1 }',
            "Request to assign label to version 1 of model slow, which is not currently available for inference",
        ),
        ("", "slow: expected model_platform tensorflow, got ''"),
    ],
    ids=["labels without their flag", "no platform"],
)
def test_a_config_that_the_real_server_refuses_is_refused(
    base: Path, tmp_path: Path, config: str, complaint: str
) -> None:
    path = tmp_path / "models.config"
    path.write_text(f'model_config_list {{ config {{ name: "slow" base_path: "{base}" {config} }} }}')
    assert complaint in fails_to_start(f"--model_config_file={path}", "--port=0")


def test_a_port_that_is_taken_is_an_error(base: Path, limited: str) -> None:
    port = limited.rpartition(":")[2]
    assert f"cannot listen on 127.0.0.1:{port}" in fails_to_start(f"--model_base_path={base}", f"--port={port}")


def fails_to_start(*flags: str) -> str:
    """What it says."""
    run = subprocess.run([sys.executable, "-m", "serving", *flags], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    return run.stderr


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--no_such_flag"], "error: unknown argument: --no_such_flag"),
        ([], "error: expected --model_base_path or --model_config_file"),
        (["--model_base_path=/x", "--enable_model_warmup=perhaps"], "expected true or false, got 'perhaps'"),
        (["--model_base_path=/x", "--grpc_max_threads=0"], "expected a whole number from 1, got '0'"),
        (["--model_base_path=/x", "--port", "65536"], "expected a whole number from 0 to 65535, got '65536'"),
        (["--model_base_path=/x", "--file_system_poll_wait_seconds=-1"], "expected seconds, 0 or more, got '-1'"),
    ],
)
def test_a_wrong_flag_ends_the_process_with_one_line(flags: list[str], complaint: str) -> None:
    run = subprocess.run([sys.executable, "-m", "serving", *flags], capture_output=True, text=True, timeout=60)
    assert run.returncode == 255
    assert complaint in run.stderr
    assert run.stderr.count("\n") == 1
