"""What a fit reaches on each of several workers, for the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from trainer.workers.workers import Workers

log = logging.getLogger(__name__)


@contextmanager
def throughput_logged(workers: Workers, num_histories: int) -> Iterator[None]:
    """Log on the chief what each worker trained in the block, and what it took; nothing if there is one worker.

    num_histories: of this worker's users, one user's as often as it is trained.
    """
    start, cpu = time.monotonic(), time.process_time()
    yield
    if workers.count == 1:
        return
    seconds, cpu_s = time.monotonic() - start, time.process_time() - cpu
    figures = workers.gather(np.array([[num_histories, seconds, cpu_s]]))
    for rank, ((own, own_s, own_cpu_s),) in enumerate(figures):
        if workers.is_chief:
            each = own_cpu_s / max(own, 1) * 1000
            log.info(
                "worker of rank %d: %.0f histories in %.1f s, %.0f a second; %.1f s of CPU, %.2f ms a history",
                *(rank, own, own_s, own / max(own_s, 1e-9), own_cpu_s, each),
            )
