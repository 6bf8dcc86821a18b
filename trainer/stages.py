"""What each stage of a run costs, said when it ends, and how bars look that show it while it runs."""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SHORT_S = 1.0  # nobody waits for a stage that takes less
BAR: dict[str, Any] = {"disable": None, "delay": SHORT_S, "leave": False}  # for tqdm: on a terminal only
MAXRSS_PER_GB = 1e9 if sys.platform == "darwin" else 1e6  # getrusage counts bytes there, and KiB elsewhere

log = logging.getLogger(__name__)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Log how long a stage took, its CPU time, and the most memory that the process has used so far."""
    start, cpu = time.monotonic(), time.process_time()
    yield
    seconds, cpu_seconds = time.monotonic() - start, time.process_time() - cpu
    if seconds >= SHORT_S:
        peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MAXRSS_PER_GB
        log.info("%s took %.1f s (%.1f s of CPU); %.2f GB at the peak so far", name, seconds, cpu_seconds, peak_gb)
