"""Starts the model server and the recommender on this machine, on the loopback interface, and stops them again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.release.v1.layout import MODEL_NAME
from trainer.release.catalogue import models_folder

START_TIMEOUT_S = 60  # importing TensorFlow takes seconds, on a cold disk tens of them
STOP_TIMEOUT_S = 10


@dataclass(frozen=True)
class Stack:
    """Where the two servers listen, as host:port."""

    recommender: str
    model_server: str
    model_server_kind: str


class StackError(Exception):
    """A server did not come up; the message ends with what it logged last."""


@contextmanager
def running_stack(artifacts: Path, recommender_port: int = 0, model_server_port: int = 0) -> Iterator[Stack]:
    """Yields once the recommender is SERVING; port 0 means a free one.  Raises StackError.

    Uses `tensorflow_model_server` if it is on the PATH, else the stand-in of `serving/`. Logs go to artifacts/logs/.
    """
    model_server_port = model_server_port or free_port()
    recommender_port = recommender_port or free_port()
    real = shutil.which("tensorflow_model_server")
    logs = artifacts / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    stack = Stack(
        recommender=f"127.0.0.1:{recommender_port}",
        model_server=f"127.0.0.1:{model_server_port}",
        model_server_kind=real or "stand-in (python -m serving)",
    )
    with ExitStack() as servers:
        config = logs / "models.config"
        config.write_text(_models_config(artifacts), encoding="utf-8")
        program = [real] if real else [sys.executable, "-m", "serving"]
        flags = [f"--port={model_server_port}", f"--model_config_file={config}", "--max_num_load_retries=0"]
        # its own default, 4 per core, refuses what comes beyond
        flags.append("--grpc_max_threads=64")
        servers.enter_context(_server([*program, *flags], logs / "model_server.log", os.environ))
        environment = {
            **os.environ,
            "LISTEN_ADDRESS": stack.recommender,
            "TF_SERVING_ADDRESS": stack.model_server,
            "RELEASES_DIR": str(artifacts / "releases"),
        }
        log = logs / "recommender.log"
        recommender = servers.enter_context(_server([sys.executable, "-m", "recommender_service"], log, environment))
        _wait_until_serving(stack.recommender, recommender, log)
        yield stack


def train_release(dataset: str, artifacts: Path, *flags: str) -> int:
    """Runs the trainer, its output on this terminal, and returns its exit status."""
    command = [sys.executable, "-m", "trainer", f"--dataset={dataset}", f"--artifacts={artifacts}"]
    return subprocess.run([*command, "--sample-if-offline", *flags], check=False).returncode


def _models_config(artifacts: Path) -> str:
    base_path = models_folder(artifacts).resolve()
    return (
        f'model_config_list {{ config {{ name: "{MODEL_NAME}" base_path: "{base_path}" model_platform: "tensorflow" '
        "model_version_policy { latest { num_versions: 2 } } } }\n"
    )


@contextmanager
def _server(
    command: list[str], log: Path, environment: os._Environ[str] | dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_serving(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < deadline and process.poll() is None:
            try:
                answer = health.Check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.RpcError:
                answer = None
            if answer is not None and answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
            time.sleep(0.1)
    state = f"exited with {process.returncode}" if process.poll() is not None else f"not SERVING in {START_TIMEOUT_S} s"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
    raise StackError(f"the recommender: {state}; the end of {log} (model_server.log lies beside it):\n{tail}")


def free_port() -> int:
    """One that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
