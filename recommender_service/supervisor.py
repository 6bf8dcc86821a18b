"""Several worker processes on one port, for machines with several cores. Imports no grpc, which must not be forked.

The kernel spreads connections over the workers that listen with SO_REUSEPORT. A worker that dies is replaced; its own
calls in progress are all that is lost.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from recommender_service.settings import Settings

log = logging.getLogger(__name__)

WORKER_FLAG = "--worker"
RESTART_PAUSE_S = 0.5  # a worker that dies at once must not turn into a busy loop


class CannotListen(Exception):
    """The address cannot be served on."""


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes]


def supervise(settings: Settings) -> None:
    """Runs settings.workers workers until SIGTERM or SIGINT, then lets them finish.  Raises CannotListen."""
    host, _, port = settings.listen_address.rpartition(":")
    with _reserve(host, int(port)) as reserved:
        address = f"{host}:{reserved.getsockname()[1]}"
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        workers = [_Worker(i, _start(settings, address, i)) for i in range(settings.workers)]
        log.info("supervising", extra={"fields": {"address": address, "workers": settings.workers}})
        while not stop.wait(0.05):
            for worker in workers:
                status = worker.process.poll()
                if status is not None:
                    fields = {"worker": worker.number, "pid": worker.process.pid, "status": status}
                    log.error("worker died", extra={"fields": fields})
                    time.sleep(RESTART_PAUSE_S)
                    worker.process = _start(settings, address, worker.number)
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.wait()
        log.info("stopped")


def _reserve(host: str, port: int) -> socket.socket:
    """A bound socket that keeps the port for the workers without ever taking a connection itself."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bare_host = host.strip("[]")
    probe, reserved = socket.socket(family), socket.socket(family)
    try:
        with probe:  # without SO_REUSEPORT: fails if another service is there, which the workers would share with
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((bare_host, port))
            port = probe.getsockname()[1]
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((bare_host, port))
    except OSError as error:
        reserved.close()
        raise CannotListen(f"cannot listen on {host}:{port}: {error}") from error
    return reserved


def _start(settings: Settings, address: str, number: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "LISTEN_ADDRESS": address, "WORKERS": "1"}
    if settings.metrics_address:  # each worker counts for itself, on a port of its own
        host, _, port = settings.metrics_address.rpartition(":")
        environment["METRICS_ADDRESS"] = f"{host}:{int(port) + number}"
    # the pipe is never written to: its end tells the worker that this process is gone
    command = [sys.executable, "-m", "recommender_service", WORKER_FLAG]
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
