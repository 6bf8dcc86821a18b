"""What a whole training run costs on generated ratings, and how good it is, with implicit's ALS beside it.

    make bench-training                    the sizes that take minutes together
    make bench-training ROWS='19m'         others: 1m, places, 5m, 19m, 100m

Each run is `python -m trainer` in a process of its own: read, split, evaluate, fit, index, publish and check.
The table has its seconds by stage, those of its CPU, its highest memory, and NDCG@20 as served on the held-out fifth.
Everything is kept in artifacts/bench/training/: the ratings for the next run, results.json, table.md and costs.svg.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from benchmarks.generated_ratings import Size, write_ratings
from benchmarks.plots import draw_costs
from trainer.release.catalogue import published_releases
from trainer.stages import MAXRSS_PER_GB

ROWS = {  # the last number counts what is drawn; a user's repeated draws of a movie count once
    "1m": Size(6_000, 4_000, 1_100_000),
    "places": Size(30_000, 41_000, 750_000),
    "5m": Size(40_000, 25_000, 5_500_000),
    "19m": Size(100_000, 50_000, 21_000_000),
    "100m": Size(300_000, 100_000, 112_000_000),
}
DEFAULT_ROWS = ("1m", "places", "5m")
FOLDER = Path("artifacts/bench/training")
STAGE = re.compile(r"^(.+) took ([\d.]+) s \(([\d.]+) s of CPU\)")


@dataclass(frozen=True)
class Run:
    """One run of a program.  seconds: of the clock.  stages: seconds by name.  ndcg: NDCG@20, None if it failed."""

    row: str
    program: str
    num_ratings: int
    seconds: float
    cpu_seconds: float
    peak_gb: float
    load: float
    stages: Mapping[str, float]
    ndcg: float | None


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)} (default: {DEFAULT_ROWS})")
    rows = parser.parse_args(argv).rows or DEFAULT_ROWS
    if unknown := set(rows) - set(ROWS):
        parser.error(f"expected rows of {', '.join(ROWS)}, got {', '.join(sorted(unknown))}")
    runs = []
    for row in tqdm(rows, desc="data sets", unit="data set", disable=None):
        folder = FOLDER / row
        num_ratings = num_ratings_in(folder, ROWS[row])
        runs += [_trainer(row, folder, num_ratings), _als(row, folder, num_ratings)]
        print("\n".join(_table(runs)), flush=True)
    (FOLDER / "results.json").write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n", encoding="utf-8")
    (FOLDER / "table.md").write_text("\n".join(_table(runs)) + "\n", encoding="utf-8")
    draw_costs([(run.program, run.num_ratings, run.cpu_seconds, run.peak_gb) for run in runs], FOLDER / "costs.svg")
    print(f"table and plot: {FOLDER}")


def num_ratings_in(folder: Path, size: Size) -> int:
    """Return how many ratings the folder holds; generate them if it is not complete."""
    count = folder / "num_ratings"
    if not count.exists():
        count.write_text(str(write_ratings(folder, size)))
    return int(count.read_text())


def _trainer(row: str, folder: Path, num_ratings: int) -> Run:
    with TemporaryDirectory() as scratch:
        artifacts = Path(scratch)
        command = [sys.executable, "-m", "trainer", "train", "--data", str(folder), "--artifacts", str(artifacts)]
        command.append("--force")  # what is asked here is the cost, whatever the figures
        run, lines = _measured(row, "this trainer", num_ratings, command)
        stages = {found[1]: float(found[2]) for line in lines if (found := STAGE.match(line))}
        released = published_releases(artifacts)
        ndcg = released[-1].metric("ndcg@20") if released else None
        return Run(**{**asdict(run), "stages": stages, "ndcg": ndcg})


def _als(row: str, folder: Path, num_ratings: int) -> Run:
    command = [sys.executable, "-m", "benchmarks.training_als", str(folder)]
    run, lines = _measured(row, "implicit ALS", num_ratings, command)
    figures = [line.removeprefix("ndcg@20 ") for line in lines if line.startswith("ndcg@20 ")]
    return Run(**{**asdict(run), "ndcg": float(figures[0]) if figures else None})


def _measured(row: str, program: str, num_ratings: int, command: Sequence[str]) -> tuple[Run, list[str]]:
    """Run the command, show what it prints, and return what it cost and its lines."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        tqdm.write(f"{row}, {program}: {lines[-1]}")
    _, _, usage = os.wait4(process.pid, 0)
    seconds, cpu_seconds = time.monotonic() - start, usage.ru_utime + usage.ru_stime
    peak_gb = usage.ru_maxrss / MAXRSS_PER_GB
    return Run(row, program, num_ratings, seconds, cpu_seconds, peak_gb, os.getloadavg()[1], {}, None), lines


def _table(runs: Sequence[Run]) -> list[str]:
    lines = [
        "| ratings | program | seconds | of CPU | load | peak GB | NDCG@20 | seconds by stage |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        ndcg = f"{run.ndcg:.4f}" if run.ndcg is not None else "failed"
        stages = ", ".join(f"{name} {seconds:.0f}" for name, seconds in run.stages.items())
        costs = f"{run.seconds:,.0f} | {run.cpu_seconds:,.0f} | {run.load:.1f} | {run.peak_gb:.1f}"
        lines.append(f"| {run.num_ratings:,} | {run.program} | {costs} | {ndcg} | {stages} |")
    return lines


if __name__ == "__main__":
    main(sys.argv[1:])
