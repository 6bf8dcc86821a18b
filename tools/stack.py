"""The model server and the recommender together on this machine, watched while they run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from recommender_service.client.channel import PLAINTEXT, Access
from tools.dev_certs import SSL_CONFIG, client_access, service_settings
from tools.processes import START_TIMEOUT_S, Server, wait_for
from tools.servers import HOST, STAND_IN, free_port, health_status, model_server, recommender

GRPC_THREADS = 64  # the default of tensorflow_model_server, 4 per core, refuses the calls beyond it
WATCH_INTERVAL_S = 0.2


class PortsTaken(Exception):
    """Another process listens on a port that a server needs."""


@dataclass(frozen=True)
class Stack:
    """Two running servers and where they listen, as host:port."""

    recommender: str
    model_server: str
    model_server_kind: str
    access: Access
    servers: tuple[Server, Server]

    def check_running(self) -> None:
        """Raises ServerError if one of the servers has ended."""
        for server in self.servers:
            server.check_running()

    def is_serving(self) -> bool:
        """Whether the recommender can answer.  Raises ServerError if one of the servers has ended."""
        self.check_running()
        return health_status(self.recommender, access=self.access) == "SERVING"

    def watch(self, page: Server) -> None:
        """Return never; raises ServerError when one of the servers or the page ends."""
        while True:
            self.check_running()
            page.check_running()
            time.sleep(WATCH_INTERVAL_S)


@contextmanager
def running_stack(
    artifacts: Path, recommender_port: int = 0, model_server_port: int = 0, certs: Path | None = None
) -> Iterator[Stack]:
    """Yields once the recommender is SERVING; port 0 takes a free one.  Raises ServerError if one does not start.

    Events go to the store that EVENTS_URL names, or else to artifacts/events/events.db.
    certs: a folder that tools.dev_certs has made, for TLS and tokens; None for plaintext.
    Runs `tensorflow_model_server` if it is on the PATH, else the stand-in of `serving/`. Logs go to artifacts/logs/.
    """
    real = shutil.which("tensorflow_model_server")
    logs = artifacts / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    if real:
        model_server_port = model_server_port or free_port()  # its flag says 0 for no port at all
    program, listen = [real] if real else STAND_IN, f"{HOST}:{recommender_port}"
    events = artifacts / "events"
    events.mkdir(exist_ok=True)
    events_url = os.environ.get("EVENTS_URL", f"sqlite:///{events.absolute() / 'events.db'}")
    models_log, log = logs / "model_server.log", logs / "recommender.log"
    flags, settings = [f"--grpc_max_threads={GRPC_THREADS}"], {"LISTEN_ADDRESS": listen, "EVENTS_URL": events_url}
    access = PLAINTEXT
    if certs is not None:
        flags.append(f"--ssl_config_file={certs.absolute() / SSL_CONFIG}")
        settings |= service_settings(certs)
        access = client_access(certs)
    with (
        model_server(artifacts, models_log, *flags, port=model_server_port, program=program) as (models, target),
        recommender(artifacts, target, log, **settings) as (service, address),
    ):
        kind = real or "stand-in (python -m serving)"
        stack = Stack(address, target, kind, access, (models, service))
        try:
            wait_for(stack.is_serving, "the recommender is SERVING", START_TIMEOUT_S)
        except TimeoutError as error:
            raise service.failure(f"is not SERVING after {START_TIMEOUT_S} s") from error
        try:
            yield stack
        finally:
            with suppress(subprocess.TimeoutExpired):  # then it has been killed
                service.stop()  # it finishes its calls first, for which it may need the model server


def check_ports_free(ports: dict[str, int]) -> None:
    """Raises PortsTaken if something listens on one of these loopback ports.  ports: name of the server → port."""
    taken = [f"{port} ({name})" for name, port in ports.items() if _is_listening(port)]
    if taken:
        raise PortsTaken(f"something listens already on port {' and port '.join(taken)}")


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def train_release(dataset: str, artifacts: Path, *flags: str) -> int:
    """Run the trainer, its output on this terminal, and return its exit status."""
    command = [sys.executable, "-m", "trainer", f"--dataset={dataset}", f"--artifacts={artifacts}"]
    return subprocess.run([*command, "--sample-if-offline", *flags], check=False).returncode
