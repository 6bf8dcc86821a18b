"""Runs several worker processes on one port, for machines with several cores.

The kernel spreads connections over the workers, which listen with SO_REUSEPORT. A worker that dies is replaced; only
its own calls in progress are lost. This module must not import grpc, because a process that has loaded grpc must not
fork.
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

from recommender_service.sealed_files import open_copying_lock
from recommender_service.settings import Settings

log = logging.getLogger(__name__)

WORKER_FLAG = "--worker"
RESTART_PAUSE_S = 0.5  # a worker that dies at once must not turn into a busy loop


class CannotListen(Exception):
    """The service cannot listen on the address it was given."""


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes]


def supervise(settings: Settings) -> None:
    """Run settings.workers workers until SIGTERM or SIGINT, then let them finish their calls. Raises CannotListen."""
    host, _, port = settings.listen_address.rpartition(":")
    with _reserve(host, int(port)) as reserved, open_copying_lock():
        address = f"{host}:{reserved.getsockname()[1]}"
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        workers = [_Worker(i, _start(settings, address, i)) for i in range(settings.workers)]
        log.info("supervising", extra={"fields": {"address": address, "workers": settings.workers}})
        while not stop.wait(0.05):
            for worker in workers:
                exit_status = worker.process.poll()
                if exit_status is not None:
                    fields = {"worker": worker.number, "pid": worker.process.pid, "status": exit_status}
                    log.error("worker died", extra={"fields": fields})
                    time.sleep(RESTART_PAUSE_S)
                    worker.process = _start(settings, address, worker.number)
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.wait()
        log.info("stopped")


def _reserve(host: str, port: int) -> socket.socket:
    """Bind a socket that keeps the port for the workers. It never listens, so it takes no connection from them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bare_host = host.strip("[]")
    exclusive, reserved = socket.socket(family), socket.socket(family)
    try:
        with exclusive:  # has no SO_REUSEPORT, so it fails if another service listens there, even one that shares ports
            exclusive.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            exclusive.bind((bare_host, port))
            port = exclusive.getsockname()[1]
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((bare_host, port))
    except OSError as error:
        reserved.close()
        raise CannotListen(f"cannot listen on {host}:{port}: {error}") from error
    return reserved


def _start(settings: Settings, address: str, number: int) -> subprocess.Popen[bytes]:
    """Start worker `number`, counted from 0, on host:port."""
    environment = {**os.environ, "LISTEN_ADDRESS": address, "WORKERS": "1"}
    if settings.metrics_address:  # each worker counts its own calls only, so it serves them on a port of its own
        host, _, port = settings.metrics_address.rpartition(":")
        environment["METRICS_ADDRESS"] = f"{host}:{int(port) + number}"
    # Nothing is written to the pipe. It ends when this process does, which tells the worker to stop.
    command = [sys.executable, "-m", "recommender_service", WORKER_FLAG]
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
