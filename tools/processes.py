"""Start servers as child processes on the loopback interface, wait until they are ready, and stop them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.release.v1.layout import MODEL_NAME
from trainer.release.catalogue import models_folder, releases_folder

HOST = "127.0.0.1"
START_TIMEOUT_S = 60  # importing TensorFlow takes seconds, on a cold disk tens of them
STOP_TIMEOUT_S = 20  # twice the recommender's grace for calls in progress
TAIL_LINES = 5
ENVOY_CONFIG = Path(__file__).parents[1] / "deploy" / "envoy.yaml"
STAND_IN = (sys.executable, "-m", "serving")


class ServerError(Exception):
    """A server ended, or did not get ready in time. The message ends with the last lines of its log."""


class Server:
    """A child process that logs to a file and tells its address there."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str], name: str) -> None:
        """Start the process.  environment: added to that of this process.  name: for messages about it."""
        self.log = log
        self._name = name
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
            )

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """The first match of the pattern in the log.

        Raises ServerError if the process ends without it, or writes none within START_TIMEOUT_S.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            ended = self.process.poll() is not None  # asked first: the line may be the last that was written
            match = re.search(pattern, self.text())
            if match:
                return match
            if ended:
                self.check_running()
            if time.monotonic() > deadline:
                raise self.failure(f"logged no {pattern!r} within {START_TIMEOUT_S} s")
            time.sleep(0.02)

    def check_running(self) -> None:
        """Raises ServerError if the process has ended."""
        status = self.process.poll()
        if status is not None:
            how = f"ended with status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"
            raise self.failure(how)

    def failure(self, what: str) -> ServerError:
        """An error that says what happened to this server, and what it logged last."""
        tail = "\n".join(self.text().splitlines()[-TAIL_LINES:])
        return ServerError(f"{self._name} {what}; the end of {self.log}:\n{tail}")

    def text(self) -> str:
        """The whole log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def events(self, name: str) -> list[dict[str, object]]:
        """The recommender's log lines with that event."""
        lines = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def send(self, number: signal.Signals) -> None:
        """Send the signal. After SIGSTOP, return when every thread has stopped (Linux only)."""
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            wait_for(lambda: all(state in "TtZ" for state in self._thread_states()), "every thread has stopped")

    def resident_kb(self) -> int:
        """Resident memory in KiB.  Linux only."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def _thread_states(self) -> list[str]:
        stats = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        return [stat.read_text().rpartition(")")[2].split()[0] for stat in stats]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and return the exit status.

        Raises subprocess.TimeoutExpired, after SIGKILL, if the process has not ended within STOP_TIMEOUT_S.
        """
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextmanager
def served(
    command: Sequence[str], log: Path, environment: Mapping[str, str], name: str = "the server"
) -> Iterator[Server]:
    """Run a server while the block runs; a process that still runs at its end gets SIGKILL."""
    server = Server(command, log, environment, name)
    try:
        yield server
    finally:
        server.process.send_signal(signal.SIGCONT)
        server.stop(signal.SIGKILL)


@contextmanager
def model_server(
    artifacts: Path, log: Path, *flags: str, port: int = 0, program: Sequence[str] = STAND_IN
) -> Iterator[tuple[Server, str]]:
    """(server, host:port) of a model server over the models in `artifacts`, once its port is open.

    port: 0 takes a free one, which only the stand-in can do.  program: takes the flags of tensorflow_model_server.
    """
    config = log.with_suffix(".config")
    config.write_text(
        f'model_config_list {{ config {{ name: "{MODEL_NAME}" base_path: "{models_folder(artifacts).absolute()}" '
        'model_platform: "tensorflow" model_version_policy { latest { num_versions: 2 } } } }\n',
        encoding="utf-8",
    )
    command = [*program, f"--port={port}", f"--model_config_file={config}", "--max_num_load_retries=0", *flags]
    with served(command, log, {}, _named("the model server", port)) as server:
        listening = server.wait_for_line(r"Running gRPC ModelServer at \S+:(\d+) \.\.\.")
        yield server, f"{HOST}:{listening[1]}"


@contextmanager
def recommender(artifacts: Path, tf_serving_address: str, log: Path, **settings: str) -> Iterator[tuple[Server, str]]:
    """(server, host:port) of a recommender over the releases in `artifacts`, once its port is open.

    It may not be SERVING yet.  settings: environment variables; LISTEN_ADDRESS is a free port by default.
    """
    environment = {
        "LISTEN_ADDRESS": f"{HOST}:0",
        "RELEASES_DIR": str(releases_folder(artifacts)),
        "TF_SERVING_ADDRESS": tf_serving_address,
        **settings,
    }
    port = int(environment["LISTEN_ADDRESS"].rpartition(":")[2])
    command = [sys.executable, "-m", "recommender_service"]
    with served(command, log, environment, _named("the recommender", port)) as server:
        yield server, server.wait_for_line(r'"event": "listening", "address": "([^"]+)"')[1]


@contextmanager
def proxy(recommender_address: str, folder: Path) -> Iterator[str]:
    """host:port of Envoy in front of a recommender, configured by deploy/envoy.yaml with other ports.

    `envoy` must be on the PATH.
    """
    port, (host, _, behind) = free_port(), recommender_address.rpartition(":")
    config = ENVOY_CONFIG.read_text(encoding="utf-8")
    for theirs, ours in (
        ("address: recommender, port_value: 50051", f"address: {host}, port_value: {behind}"),
        ("address: 0.0.0.0, port_value: 50052", f"address: {HOST}, port_value: {port}"),
        ("port_value: 9901", "port_value: 0"),
    ):
        assert theirs in config, f"{ENVOY_CONFIG}: expected {theirs!r}"
        config = config.replace(theirs, ours)
    (folder / "envoy.yaml").write_text(config, encoding="utf-8")
    command = ["envoy", "--config-path", str(folder / "envoy.yaml"), "--concurrency", "1", "--use-dynamic-base-id"]
    with served(command, folder / "envoy.log", {}, "Envoy") as server:
        server.wait_for_line("starting main dispatch loop")
        yield f"{HOST}:{port}"


def _named(name: str, port: int) -> str:
    return f"{name} on port {port}" if port else name


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Return once the condition holds.  Raises TimeoutError, naming what was waited for, if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def health_status(address: str, service: str = "") -> str:
    """SERVING, NOT_SERVING, …, or the name of the status code if the health check fails."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=2
            )
        except grpc.RpcError as error:
            return str(error.code().name) if isinstance(error, grpc.Call) else "UNKNOWN"
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def wait_until_serving(address: str) -> None:
    """Raises TimeoutError if the health check does not say SERVING within START_TIMEOUT_S."""
    wait_for(lambda: health_status(address) == "SERVING", f"{address} is SERVING", START_TIMEOUT_S)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
