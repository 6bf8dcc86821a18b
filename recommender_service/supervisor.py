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

from recommender_service.addresses import hold, with_port
from recommender_service.metrics_endpoint import WorkerMetrics, WorkerSocket, serve_worker_metrics
from recommender_service.sealed_files import open_copying_lock
from recommender_service.settings import Settings

log = logging.getLogger(__name__)

WORKER_FLAG = "--worker"  # is followed by the file descriptor over which the supervisor asks for metrics
RESTART_PAUSE_S = 0.5  # a worker that dies at once must not turn into a busy loop


def supervise(settings: Settings) -> None:
    """Run settings.workers workers until SIGTERM or SIGINT, then let them finish their calls. Raises CannotListen."""
    with ExitStack() as held, open_copying_lock():
        addresses = {"LISTEN_ADDRESS": _held(settings.listen_address, held)}
        if settings.health_address:
            addresses["HEALTH_ADDRESS"] = _held(settings.health_address, held)
        stop = threading.Event()
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, lambda *_: stop.set())
        sockets: dict[int, WorkerSocket] = {}
        restarts = dict.fromkeys(range(settings.workers), 0)
        names = {"LISTEN_ADDRESS": "address", "HEALTH_ADDRESS": "health"}
        shown = {names[variable]: address for variable, address in addresses.items()}
        if settings.metrics_address:
            shown["metrics"] = serve_worker_metrics(settings.metrics_address, WorkerMetrics(sockets, restarts))
        workers = {number: _start(addresses, number, sockets) for number in restarts}
        log.info("supervising", extra={"fields": {**shown, "workers": settings.workers}})
        while not stop.wait(0.05):
            for number, worker in workers.items():
                exit_status = worker.poll()
                if exit_status is not None:
                    fields = {"worker": number, "pid": worker.pid, "status": exit_status}
                    log.error("worker died", extra={"fields": fields})
                    restarts[number] += 1
                    time.sleep(RESTART_PAUSE_S)
                    workers[number] = _start(addresses, number, sockets)
        for worker in workers.values():
            worker.terminate()
        for worker in workers.values():
            worker.wait()
        log.info("stopped")


def _held(address: str, held: ExitStack) -> str:
    """The address with the port that is held on it for the workers.  Raises CannotListen."""
    for listener in hold("listen on", address):
        address = with_port(address, held.enter_context(listener).getsockname()[1])
    return address


def _start(addresses: Mapping[str, str], number: int, sockets: dict[int, WorkerSocket]) -> subprocess.Popen[bytes]:
    """Start worker `number`, counted from 0, and put the socket for its metrics among the others.

    addresses: variable → host:port that the workers share.
    """
    metrics = WorkerSocket()
    environment = {**os.environ, **addresses, "WORKERS": "1"}
    # Nothing is written to the pipe. It ends when this process does, which tells the worker to stop.
    with metrics.theirs as theirs:
        command = [sys.executable, "-m", "recommender_service", WORKER_FLAG, str(theirs.fileno())]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, pass_fds=[theirs.fileno()])
    previous = sockets.get(number)
    sockets[number] = metrics
    if previous is not None:
        previous.close()
    return worker
