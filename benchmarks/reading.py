"""Seconds and memory to read and check 20 million ratings: `python -m benchmarks.reading`.

The file is generated: whole ids, half stars, times in seconds, as MovieLens 20M has them; `--text-ids` gives users and
movies keys such as `U00012345` instead.  A process of its own reads it, so that the peak is the reader's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

NUM_RATINGS, NUM_USERS, NUM_MOVIES = 20_000_000, 138_493, 26_744
CHUNK = 2_000_000
READ = """
import resource, sys, time
from pathlib import Path
from trainer.data.dataset import read_folder
start, cpu = time.perf_counter(), time.process_time()
dataset = read_folder(Path(sys.argv[1]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print("\\n".join(dataset.understood.lines))
print(f"{time.perf_counter() - start:.1f} s, {time.process_time() - cpu:.1f} s of CPU, {peak:.2f} GB at the peak")
"""


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ratings", type=int, default=NUM_RATINGS)
    parser.add_argument("--text-ids", action="store_true")
    arguments = parser.parse_args(argv)
    with TemporaryDirectory() as scratch:
        start = time.perf_counter()
        generate(Path(scratch), arguments.ratings, arguments.text_ids)
        size = (Path(scratch) / "ratings.csv").stat().st_size / 1e6
        print(
            f"{arguments.ratings:,} ratings in {size:,.0f} MB, written in {time.perf_counter() - start:.0f} s",
            flush=True,
        )
        subprocess.run([sys.executable, "-c", READ, scratch], check=True)


def generate(folder: Path, num_ratings: int, text_ids: bool) -> None:
    """Writes ratings.csv, by users as in MovieLens, and movies.csv."""
    rng = np.random.default_rng(0)
    users = np.sort(rng.integers(1, NUM_USERS + 1, num_ratings))
    with (folder / "ratings.csv").open("wb") as file:
        for at in range(0, num_ratings, CHUNK):
            some = len(users[at : at + CHUNK])
            table = pa.table(
                {
                    "userId": users[at : at + CHUNK],
                    "movieId": (rng.random(some) ** 2 * NUM_MOVIES).astype(np.int64) + 1,
                    "rating": rng.integers(1, 11, some) / 2,
                    "timestamp": rng.integers(1_000_000_000, 1_400_000_000, some),
                }
            )
            if text_ids:
                for at_column, name, letter in ((0, "userId", "U"), (1, "movieId", "M")):
                    padded = pc.utf8_lpad(table.column(name).cast(pa.string()), 8, "0")
                    keys = pc.binary_join_element_wise(letter, padded, "")
                    table = table.set_column(at_column, name, keys)
            options = pa.csv.WriteOptions(include_header=at == 0, quoting_style="none")
            pa.csv.write_csv(table, file, options)
    names = (f"M{n:08}" if text_ids else str(n) for n in range(1, NUM_MOVIES + 1))
    lines = "".join(f"{name},Movie {name} (2000),Drama|Comedy\n" for name in names)
    (folder / "movies.csv").write_text(f"movieId,title,genres\n{lines}")


if __name__ == "__main__":
    main(sys.argv[1:])
