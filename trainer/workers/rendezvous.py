"""Waits until every worker has started, and says which one is still awaited.

TensorFlow's own start waits for an hour without a word and takes no signal meanwhile, so each worker first listens at
its address itself, and TensorFlow starts once all others were reached there.
"""

from __future__ import annotations

import logging
import socket
import time

from trainer.workers.cluster import Cluster
from trainer.workers.errors import WorkerLost

CONNECT_TIMEOUT_S, POLL_S = 2.0, 0.2
FIRST_WORD_S, NEXT_WORD_S = 5.0, 60.0

log = logging.getLogger(__name__)


def await_workers(cluster: Cluster, timeout_s: float) -> None:
    """Return once all workers listen. Raises WorkerLost if one does not within the time."""
    with _listening(cluster):
        start = time.monotonic()
        say_at = start + FIRST_WORD_S
        missing = [rank for rank in range(len(cluster)) if rank != cluster.rank]
        while missing := [rank for rank in missing if not _listens(cluster.addresses[rank])]:
            now = time.monotonic()
            awaited = ", ".join(map(cluster.described, missing))
            if now - start > timeout_s:
                raise WorkerLost(f"expected every worker to start within {timeout_s:g} s, got no answer of {awaited}")
            if now > say_at:
                log.info("waiting for %s", awaited)
                say_at = now + NEXT_WORD_S
            time.sleep(POLL_S)


def _listening(cluster: Cluster) -> socket.socket:
    """Listen at this worker's port, by IPv4 and, where it is there, IPv6. Raises WorkerLost if it is taken."""
    port = int(cluster.addresses[cluster.rank].rpartition(":")[2])
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        return socket.create_server(("", port), family=family, backlog=2 * len(cluster), dualstack_ipv6=both)
    except OSError as error:
        raise WorkerLost(f"{cluster.described(cluster.rank)}: cannot listen there: {error.strerror}") from error


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True
