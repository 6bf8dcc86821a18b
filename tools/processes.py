"""Real servers as child processes on ports the system picks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tools.stack import free_port

START_TIMEOUT_S = 60
ENVOY_CONFIG = Path(__file__).parents[1] / "deploy" / "envoy.yaml"


class Server:
    """A child process that logs to a file and tells its address there."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
            )

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """The first match in the log, once it is there."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            match = re.search(pattern, self.text())
            if match:
                return match
            if ended:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in the log (exit {self.process.poll()}):\n{self.text()[-3000:]}")

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def events(self, name: str) -> list[dict[str, object]]:
        """Log lines of the recommender with that event."""
        lines = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def send(self, number: signal.Signals) -> None:
        """Sends the signal; after SIGSTOP, returns once no thread runs any more."""
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            wait_for(lambda: all(state in "TtZ" for state in self._thread_states()), "the process has stopped")

    def resident_kb(self) -> int:
        """Memory in use.  Linux only."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def _thread_states(self) -> list[str]:
        stats = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        return [stat.read_text().rpartition(")")[2].split()[0] for stat in stats]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends the signal and returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextmanager
def model_server(artifacts: Path, log: Path, *flags: str, port: int = 0) -> Iterator[tuple[Server, str]]:
    """(server, address) of the stand-in over `artifacts`, once its port is open."""
    config = log.with_suffix(".config")
    config.write_text(
        f'model_config_list {{ config {{ name: "user_embedding" base_path: "{artifacts}/models/user_embedding" '
        'model_platform: "tensorflow" model_version_policy { latest { num_versions: 2 } } } }'
    )
    flags = (f"--port={port}", f"--model_config_file={config}", "--max_num_load_retries=0", *flags)
    with served([sys.executable, "-m", "serving", *flags], log, {}) as server:
        yield server, server.wait_for_line(r"Running gRPC ModelServer at (\S+) \.\.\.")[1]


@contextmanager
def recommender(artifacts: Path, tf_serving_address: str, log: Path, **settings: str) -> Iterator[tuple[Server, str]]:
    """(server, address) of a recommender over `artifacts`, once its port is open; it may not be ready yet."""
    environment = {
        "LISTEN_ADDRESS": "127.0.0.1:0",
        "RELEASES_DIR": str(artifacts / "releases"),
        "TF_SERVING_ADDRESS": tf_serving_address,
        **settings,
    }
    with served([sys.executable, "-m", "recommender_service"], log, environment) as server:
        yield server, server.wait_for_line(r'"event": "listening", "address": "([^"]+)"')[1]


@contextmanager
def proxy(recommender_address: str, folder: Path) -> Iterator[str]:
    """The address of Envoy, as deploy/envoy.yaml sets it up, in front of a recommender.  Needs `envoy` on the PATH."""
    port, (host, _, behind) = free_port(), recommender_address.rpartition(":")
    config = ENVOY_CONFIG.read_text(encoding="utf-8")
    for theirs, ours in (
        ("address: recommender, port_value: 50051", f"address: {host}, port_value: {behind}"),
        ("address: 0.0.0.0, port_value: 50052", f"address: 127.0.0.1, port_value: {port}"),
        ("port_value: 9901", "port_value: 0"),
    ):
        assert theirs in config, f"{ENVOY_CONFIG}: expected {theirs!r}"
        config = config.replace(theirs, ours)
    (folder / "envoy.yaml").write_text(config, encoding="utf-8")
    command = ["envoy", "--config-path", str(folder / "envoy.yaml"), "--concurrency", "1", "--use-dynamic-base-id"]
    with served(command, folder / "envoy.log", {}) as server:
        server.wait_for_line("starting main dispatch loop")
        yield f"127.0.0.1:{port}"


@contextmanager
def served(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    server = Server(command, log, environment)
    try:
        yield server
    finally:
        server.process.send_signal(signal.SIGCONT)
        server.stop(signal.SIGKILL)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Returns once the condition holds; fails, naming what was waited for, if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def health_status(address: str, service: str = "") -> str:
    """SERVING, NOT_SERVING, …, or the status code's name."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=2
            )
        except grpc.RpcError as error:
            return str(error.code().name) if isinstance(error, grpc.Call) else "UNKNOWN"
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def wait_until_serving(address: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while health_status(address) != "SERVING":
        assert time.monotonic() < deadline, f"{address} is not SERVING"
        time.sleep(0.05)
