"""What each of several trainers that fit one model costs on generated ratings: seconds, CPU, memory, throughput.

    .venv/bin/python -m benchmarks.training_workers 1m 1 2 3     the data set of benchmarks.training, numbers of workers

Each worker is `python -m trainer` on a core of its own, as long as there are enough; then several share one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.training import FOLDER, ROWS, num_ratings_in
from tools.servers import HOST, free_port

STAGE = re.compile(r"^(.+) took ([\d.]+) s \(([\d.]+) s of CPU\); ([\d.]+) GB", re.MULTILINE)
RATE = re.compile(
    r"^worker of rank (\d+): \d+ histories in [\d.]+ s, (\d+) a second; [\d.]+ s of CPU, ([\d.]+) ms", re.MULTILINE
)
FITTING = "fitting on all ratings"


def main(argv: Sequence[str]) -> None:
    row, *counts = argv
    folder = FOLDER / row
    print(f"{row}: {num_ratings_in(folder, ROWS[row]):,} ratings")
    print("| workers | rank | histories a second | CPU ms a history | fit s | of CPU | peak GB |")
    print("|---|---|---|---|---|---|---|")
    for count in map(int, counts):
        logs = _run(folder, count)
        rates = {
            int(rank): (rate, cost) for rank, rate, cost in RATE.findall(logs[0])
        }  # the last fit's, on all ratings
        for rank, log in enumerate(logs):
            stages = {name: figures for name, *figures in STAGE.findall(log)}
            seconds, cpu_s, _ = stages[FITTING]
            peak = max(float(figures[2]) for figures in stages.values())
            rate, cost = rates.get(rank, ("", ""))
            print(
                f"| {count} | {rank} | {rate} | {cost} | {seconds} | {cpu_s} | {peak:.2f} |",
                flush=True,
            )


def _run(folder: Path, count: int) -> list[str]:
    """Train with so many workers, and return what each has logged. Exits if one fails."""
    addresses = [f"{HOST}:{free_port()}" for _ in range(count)]
    cores = sorted(os.sched_getaffinity(0))
    with TemporaryDirectory() as scratch:
        processes = []
        for rank in range(count):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
            command = ["taskset", "--cpu-list", str(cores[rank % len(cores)]), sys.executable, "-m", "trainer"]
            command += ["--data", str(folder), "--artifacts", f"{scratch}/{rank}", "--force"]
            environment = {**os.environ, "TF_CONFIG": json.dumps(config)}
            processes.append(
                subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)
            )
        logs = [process.communicate()[1] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit("\n".join(logs))
    return logs


if __name__ == "__main__":
    main(sys.argv[1:])
