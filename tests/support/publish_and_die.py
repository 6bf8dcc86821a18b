"""Publishes in child processes and kills each after another delay: `… tests.support.publish_and_die ARTIFACTS DELAY …`.

Forking after the imports, which take seconds, lets a delay fall into any step of publishing itself.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from tests.support.releases import publish_checkerboard


def main(artifacts: Path, delays_s: list[float]) -> None:
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
