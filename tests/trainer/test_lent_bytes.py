"""The end of a process whose threads of pyarrow still hold bytes of Python."""

from __future__ import annotations

import subprocess
import sys

HOLDS_FOR_A_WHILE = """
import os, threading, time
from trainer.data.lent_bytes import LentBytes

class Chunk(LentBytes):
    def __del__(self):
        os.write(1, b"dropped")

def hold(chunk):
    time.sleep(0.5)

threading.Thread(target=hold, args=[Chunk(b"1,2,3")], daemon=True).start()
"""


def test_a_process_ends_after_what_it_lent_is_dropped() -> None:
    """A thread that Python would not wait for drops its bytes before the process ends."""
    run = subprocess.run([sys.executable, "-c", HOLDS_FOR_A_WHILE], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, "dropped"), run.stderr
