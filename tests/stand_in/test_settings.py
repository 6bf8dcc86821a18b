"""What the flags and signals of the stand-in do while it serves."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from protos.tfserving.v1.ssl_config_pb2 import SslConfig
from tests.conformance.tries import tried
from tests.support.errors import failure_of
from tests.support.saved_models import save_wait
from tools.processes import START_TIMEOUT_S, Server, served, wait_for

pytestmark = pytest.mark.slow

THREADS = 6  # more than there are calls that a test's last answers leave behind: a thread is free a moment later


def predict_of(channel: grpc.Channel) -> Any:
    """The stub's method Predict."""
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict


def wait_request(seconds: float) -> predict_pb2.PredictRequest:
    """A Predict that takes so long."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "slow"
    request.inputs["seconds"].dtype = types_pb2.DT_DOUBLE
    request.inputs["seconds"].double_val.append(seconds)
    return request


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base path of a model whose calls take as long as they ask for."""
    base = tmp_path_factory.mktemp("slow")
    save_wait(base / "1")
    return base


@pytest.fixture(scope="module")
def limited_server(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a few threads."""
    flags = ["--port=0", "--model_name=slow", f"--model_base_path={base}", f"--grpc_max_threads={THREADS}"]
    command = [sys.executable, "-m", "serving", *flags, "--enable_serialization_as_tensor_content"]
    with served(command, tmp_path_factory.mktemp("log") / "log", {}) as server:
        yield server


@pytest.fixture(scope="module")
def limited(limited_server: Server) -> str:
    """The address of a server with a few threads."""
    return address_of(limited_server)


def address_of(server: Server) -> str:
    return server.wait_for_line(r"Running gRPC ModelServer at (\S+) \.\.\.")[1]


def start_calls(server: Server, predict: Any, *seconds: float) -> list[Any]:
    """Calls of a model that take so long, all of which the model has begun to answer."""
    begun = server.text().count("waits for") + len(seconds)
    calls = [predict.future(wait_request(one), timeout=60) for one in seconds]
    wait_for(lambda: server.text().count("waits for") == begun, f"{len(seconds)} calls are in progress")
    return calls


def test_calls_beyond_the_threads_are_refused_at_once(limited_server: Server) -> None:
    """With all threads busy, one call more gets RESOURCE_EXHAUSTED; later ones are answered again."""
    with grpc.insecure_channel(address_of(limited_server)) as channel:
        predict = predict_of(channel)
        calls = start_calls(limited_server, predict, *[15.0] * THREADS)
        failure = failure_of(lambda: predict(wait_request(0.0), timeout=60))
        assert failure.code == "RESOURCE_EXHAUSTED"
        assert all(call.result() for call in calls)
        wait_for(lambda: predict.future(wait_request(0.0), timeout=60).exception() is None, "a call is answered again")


def test_a_call_past_its_deadline_fails(limited: str) -> None:
    """A Predict that takes too long gets DEADLINE_EXCEEDED."""
    with grpc.insecure_channel(limited) as channel:
        failure = failure_of(lambda: predict_of(channel)(wait_request(10.0), timeout=0.2))
        assert failure.code == "DEADLINE_EXCEEDED"


def test_a_flag_makes_responses_use_tensor_content(limited: str) -> None:
    """With --enable_serialization_as_tensor_content there are no typed values."""
    with grpc.insecure_channel(limited) as channel:
        response = predict_of(channel)(wait_request(0.1), timeout=60)
    waited = response.outputs["waited"]
    assert not waited.double_val
    assert np.frombuffer(waited.tensor_content, "<f8")[0] > 0.09


def test_classify_is_unimplemented(limited: str) -> None:
    """The stand-in answers UNIMPLEMENTED to Classify: it has Predict and GetModelMetadata only."""
    with grpc.insecure_channel(limited) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = classification_pb2.ClassificationRequest()
        assert failure_of(lambda: stub.Classify(request)).code == "UNIMPLEMENTED"


def stop_during_calls(base: Path, log: Path) -> tuple[str, str, str, int]:
    """The codes of a short call, an endless one and one that comes after SIGTERM, and the status of the process."""
    command = [sys.executable, "-m", "serving", "--port=0", "--model_name=slow", f"--model_base_path={base}"]
    with served(command, log, {}) as server:
        address = address_of(server)
        with grpc.insecure_channel(address) as channel:
            short, endless = start_calls(server, predict_of(channel), 2.0, 600.0)
            server.send(signal.SIGTERM)
            server.wait_for_line("stopping")
            with grpc.insecure_channel(address) as late:
                refused = failure_of(lambda: predict_of(late)(wait_request(0.0), timeout=20))
            codes = [call.exception().code().name if call.exception() else "OK" for call in (short, endless)]
        return codes[0], codes[1], refused.code, server.process.wait(timeout=60)


def test_sigterm_lets_calls_finish_but_not_for_ever(base: Path, tmp_path: Path) -> None:
    """A short call is answered, an endless one is cut off, a new one is refused, and the status is 0."""
    # if the server stalls for as long as calls may take, it cuts off the short one too
    outcome = tried(lambda: stop_during_calls(base, tmp_path / "log"), lambda outcome: outcome[0] == "OK")
    short, endless, refused, status = outcome
    assert (short, status) == ("OK", 0)
    # gRPC's core cancels a call that comes with a connection it has not closed yet
    assert {refused, endless} <= {"CANCELLED", "UNAVAILABLE"}


def test_sigint_stops_a_server_that_waits_for_a_model(tmp_path: Path) -> None:
    """Ctrl-C works even before the port opens."""
    command = [sys.executable, "-m", "serving", "--port=0", f"--model_base_path={tmp_path / 'nothing'}"]
    with served(command, tmp_path / "log", {}) as server:
        server.wait_for_line("file system access error")
        assert server.stop(signal.SIGINT) == 0


def test_a_port_that_is_taken_is_an_error(base: Path, limited: str) -> None:
    """The second server on a port ends with one line and status 255."""
    command = [sys.executable, "-m", "serving", f"--model_base_path={base}", f"--port={limited.rpartition(':')[2]}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S)
    assert run.returncode == 255
    assert f"cannot listen on {limited}" in run.stderr


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes the certificate, is not on the PATH")
def test_tls_a_unix_socket_and_unknown_arguments(base: Path, tmp_path: Path) -> None:
    """The server answers by TLS and on its socket, and logs arguments that it does not know."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost".split()
    command = [
        "openssl",
        *new,
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(command, check=True, capture_output=True)
    config = SslConfig(server_key=key.read_text(), server_cert=certificate.read_text())
    (tmp_path / "ssl.config").write_text(text_format.MessageToString(config))
    flags = ["--port=0", "--model_name=slow", f"--model_base_path={base}", f"--ssl_config_file={tmp_path}/ssl.config"]
    flags += [f"--grpc_socket_path={tmp_path}/socket", "--grpc_channel_arguments=grpc.max_receive_message_length=1000"]
    flags += ["--no_such_flag", "--port", "1", "--num_load_threads=2"]
    with served([sys.executable, "-m", "serving", *flags], tmp_path / "log", {}) as server:
        address = address_of(server).replace("127.0.0.1", "localhost")
        credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
        for where in (address, f"unix:{tmp_path}/socket"):
            options = [("grpc.ssl_target_name_override", "localhost")]
            with grpc.secure_channel(where, credentials, options) as channel:
                assert predict_of(channel)(wait_request(0.0), timeout=60)
                request = wait_request(0.0)
                request.inputs["seconds"].tensor_content = bytes(1001)
                assert failure_of(partial(predict_of(channel), request, timeout=60)).code == "RESOURCE_EXHAUSTED"
        with grpc.insecure_channel(address) as channel:
            assert failure_of(partial(predict_of(channel), wait_request(0.0), timeout=60)).code == "UNAVAILABLE"
        for complaint in ("--no_such_flag", "--port", "1"):
            server.wait_for_line(f"unknown argument: {complaint}\n")
        server.wait_for_line("without effect in this stand-in: --num_load_threads\n")
