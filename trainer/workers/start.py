"""The workers that take part in a command: those of a cluster, or this process alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from trainer.workers.cluster import Cluster
from trainer.workers.workers import ALONE, Workers

log = logging.getLogger(__name__)


@contextmanager
def joined(cluster: Cluster | None, start_timeout_s: float) -> Iterator[Workers]:
    """Wait for all workers of a cluster, and yield them; without a cluster, yield ALONE.

    Raises ClusterError if they cannot train together, and WorkerLost if a worker does not start within the time, or
    ends or is not reached while the block runs.
    """
    if cluster is None:
        yield ALONE
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # its errors about workers that are gone are many lines long
    # Not at the top: it imports TensorFlow.
    from trainer.workers.distributed import Distributed

    workers = Distributed(cluster, start_timeout_s)
    log.info("this is %s, one of %d that train together", cluster.described(cluster.rank), len(cluster))
    with workers.lost_workers_named():
        yield workers
