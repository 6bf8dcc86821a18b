"""Bytes that pyarrow's threads read from, which have to drop them before the process ends.

Reading returns before the last of these threads has dropped what it was given. If Python shuts down first, it ends the
thread that asks to release an object of Python's, and C++ then aborts: a run that had refused its data ended with
status 134, on a busy machine.
"""

from __future__ import annotations

import atexit
import time
from weakref import WeakValueDictionary

MAX_WAIT_S = 5.0  # whoever keeps such bytes for good must not keep the process
STEP_S = 0.001


class LentBytes(bytearray):
    """Bytes for pyarrow: the process ends only after they are gone, or MAX_WAIT_S later."""

    def __init__(self, content: bytes | int) -> None:
        super().__init__(content)
        _lent[id(self)] = self


_lent: WeakValueDictionary[int, LentBytes] = WeakValueDictionary()


@atexit.register
def _wait() -> None:
    last = time.monotonic() + MAX_WAIT_S
    while _lent and time.monotonic() < last:
        time.sleep(STEP_S)
