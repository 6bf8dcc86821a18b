"""How long a recommender takes from its start until every worker serves, and how much memory its processes have then.

    make train && python -m benchmarks.start_up

"private" is what the processes have for themselves. "files" is what they map from disk, which the kernel may drop.
"sealed" is the size of the copies of the release in memory, each counted once, however many workers share it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.support import child_pids, memory_mb, newest_release, sealed_bytes
from tools.processes import served, wait_for
from tools.servers import model_server

STARTS = 3
RECOMMENDER = (sys.executable, "-m", "recommender_service")


def main(argv: Sequence[str]) -> None:
    artifacts, release = newest_release(argv, __doc__)
    num_bytes = sum(path.stat().st_size for path in release.iterdir())
    print(f"release {release.name}: {num_bytes / 1e6:.0f} MB on disk")
    with tempfile.TemporaryDirectory() as scratch, model_server(artifacts, Path(scratch) / "models") as (_, address):
        for workers in (1, 2):
            settings = {
                "WORKERS": str(workers),
                "LISTEN_ADDRESS": "127.0.0.1:0",
                "RELEASES_DIR": str(release.parent),
                "TF_SERVING_ADDRESS": address,
            }
            starts = [_measure(settings, workers, Path(scratch) / "log") for _ in range(STARTS)]
            seconds, private, files, sealed = (statistics.median(values) for values in zip(*starts, strict=True))
            print(
                f"WORKERS={workers}: {seconds:.1f} s; MB: private {private:.0f}, files {files:.0f}, sealed {sealed:.0f}"
            )


def _measure(settings: dict[str, str], workers: int, log: Path) -> tuple[float, float, float, float]:
    """(seconds, MB private, MB of files, MB of sealed copies) of one start."""
    start = time.perf_counter()
    with served(RECOMMENDER, log, settings) as server:
        wait_for(lambda: len(server.events("release active")) == workers, "every worker serves", 120)
        seconds = time.perf_counter() - start
        pid = server.process.pid
        pids = [pid, *child_pids(pid)]
        private, files = (sum(memory_mb(pid)[f"Pss_{kind}"] for pid in pids) for kind in ("Anon", "File"))
        return seconds, private, files, sealed_bytes(pids) / 1e6


if __name__ == "__main__":
    main(sys.argv[1:])
