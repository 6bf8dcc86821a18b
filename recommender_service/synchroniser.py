"""Keeps a process running that brings releases from the bucket, so that no call waits for it and workers share it.

This module must not import grpc, because the supervisor uses it.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time

from recommender_service.settings import Settings
from recommender_service.synchronise import CHILD_FLAG

log = logging.getLogger(__name__)

RESTART_PAUSE_S = 5.0  # a process that ends at once must not turn into a busy loop


def start_synchroniser(settings: Settings) -> None:
    """Start the process, and a thread that replaces it if it dies. It ends when this process does."""
    command = [sys.executable, "-m", "recommender_service.synchronise", CHILD_FLAG]
    command += ["--releases", str(settings.releases_dir)]

    def keep_running() -> None:
        while True:
            # Nothing is written to the pipe. It ends when this process does, which tells the other one to end.
            with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
                status = process.wait()
            log.error("synchroniser died", extra={"fields": {"pid": process.pid, "status": status}})
            time.sleep(RESTART_PAUSE_S)

    threading.Thread(target=keep_running, name="synchroniser", daemon=True).start()
