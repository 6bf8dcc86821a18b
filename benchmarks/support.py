"""What several benchmarks need."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def newest_release(argv: Sequence[str], description: str | None) -> tuple[Path, Path]:
    """(artifacts, the newest release's folder) as the command line says; ends with one line if there is none."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    artifacts: Path = parser.parse_args(argv).artifacts.resolve()
    releases = sorted(path.parent for path in artifacts.glob("releases/*/manifest.json"))
    if not releases:
        sys.exit(f"error: no release in {artifacts}: run `make train` first")
    return artifacts, releases[-1]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, in steps of 10 ms.  Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
