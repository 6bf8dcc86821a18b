"""Publishes in child processes that are killed: `… tests.support.publish_and_die ARTIFACTS DELAY_S …`.

There is a child for each delay. The children are forked after the imports, which take seconds, so that a short delay
can end in any step of publishing.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from tests.support.releases import publish_checkerboard


def main(artifacts: Path, delays_s: list[float]) -> None:
    """Print for each delay whether the child was killed or had published before."""
    for delay_s in delays_s:
        child = os.fork()
        if child == 0:
            publish_checkerboard(artifacts)
            os._exit(0)
        time.sleep(delay_s)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else "published", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [float(argument) for argument in sys.argv[2:]])
