"""Runs several worker processes on one port, for machines with several cores.

The kernel spreads connections over the workers, which listen with SO_REUSEPORT. A worker that dies is replaced; only
its own calls in progress are lost. This module must not import grpc, because a process that has loaded grpc must not
fork.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from recommender_service.addresses import check_free, hold, split, with_port
from recommender_service.sealed_files import open_copying_lock
from recommender_service.settings import Settings

log = logging.getLogger(__name__)

WORKER_FLAG = "--worker"
RESTART_PAUSE_S = 0.5  # a worker that dies at once must not turn into a busy loop


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes]


def supervise(settings: Settings) -> None:
    """Run settings.workers workers until SIGTERM or SIGINT, then let them finish their calls. Raises CannotListen."""
    with ExitStack() as held, open_copying_lock():
        addresses = {"LISTEN_ADDRESS": _held(settings.listen_address, held)}
        if settings.health_address:
            addresses["HEALTH_ADDRESS"] = _held(settings.health_address, held)
        for number in range(settings.workers):
            if settings.metrics_address:
                check_free("serve metrics on", _metrics_address(settings, number))
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        workers = [_Worker(i, _start(settings, addresses, i)) for i in range(settings.workers)]
        names = {"LISTEN_ADDRESS": "address", "HEALTH_ADDRESS": "health"}
        shown = {names[variable]: address for variable, address in addresses.items()}
        log.info("supervising", extra={"fields": {**shown, "workers": settings.workers}})
        while not stop.wait(0.05):
            for worker in workers:
                exit_status = worker.process.poll()
                if exit_status is not None:
                    fields = {"worker": worker.number, "pid": worker.process.pid, "status": exit_status}
                    log.error("worker died", extra={"fields": fields})
                    time.sleep(RESTART_PAUSE_S)
                    worker.process = _start(settings, addresses, worker.number)
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.wait()
        log.info("stopped")


def _held(address: str, held: ExitStack) -> str:
    """The address with the port that is held on it for the workers.  Raises CannotListen."""
    for listener in hold("listen on", address):
        address = with_port(address, held.enter_context(listener).getsockname()[1])
    return address


def _start(settings: Settings, addresses: Mapping[str, str], number: int) -> subprocess.Popen[bytes]:
    """Start worker `number`, counted from 0.  addresses: variable → host:port that the workers share."""
    environment = {**os.environ, **addresses, "WORKERS": "1"}
    if settings.metrics_address:  # each worker counts its own calls only, so it serves them on a port of its own
        environment["METRICS_ADDRESS"] = _metrics_address(settings, number)
    # Nothing is written to the pipe. It ends when this process does, which tells the worker to stop.
    command = [sys.executable, "-m", "recommender_service", WORKER_FLAG]
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)


def _metrics_address(settings: Settings, number: int) -> str:
    """Where worker `number` serves its metrics: on the port that is set, and on those after it."""
    _, port = split(settings.metrics_address)
    return with_port(settings.metrics_address, port + number if port else 0)
