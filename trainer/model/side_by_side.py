"""Several trainings of the same tables from different seeds, whose embeddings are joined side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock

import numpy as np
from scipy import sparse

from trainer.model.hyperparameters import Hyperparameters
from trainer.model.partition import Partition
from trainer.model.progress import OnProgress, Progress
from trainer.model.train_tables import train_tables
from trainer.workers.workers import ALONE, Workers, total

SEED_STEP = 1_000_003  # from one training's seed to the next one's


def train_side_by_side(
    history: sparse.csr_matrix,
    partition: Partition,
    hyperparameters: Hyperparameters,
    on_progress: OnProgress,
    checkpoints: Path | None = None,
    workers: Workers = ALONE,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the embeddings of users and of movies, unit rows, of one or several trainings.

    A dot product of such rows is the mean of the trainings' cosines. They run at the same time, because one alone
    leaves half of a second core idle; but one after the other on several workers, which have to agree on what they sum.

    Arguments: as for `train_tables`.
    """
    count = hyperparameters.num_fits_for(total(workers, history.shape[0]))
    together = _Together(count, on_progress)

    def train(number: int) -> tuple[np.ndarray, np.ndarray]:
        seeded = replace(hyperparameters, seed=hyperparameters.seed + number * SEED_STEP)
        return train_tables(history, partition, seeded, together.part(number), checkpoints, workers)

    with ThreadPoolExecutor(count if workers.count == 1 else 1) as threads, together:
        tables = list(threads.map(train, range(count)))
    users, movies = (np.hstack(parts) / np.float32(np.sqrt(count)) for parts in zip(*tables, strict=True))
    return users, movies


class _Together:
    """Tells of several trainings as if they were one. Left early, by an error or by Ctrl-C, it ends them all."""

    def __init__(self, count: int, on_progress: OnProgress) -> None:
        self._done = [0] * count
        self._on_progress = on_progress
        self._lock, self._left = Lock(), Event()

    def part(self, number: int) -> OnProgress:
        """Return what the training of that number calls after each step."""

        def show(progress: Progress) -> None:
            if self._left.is_set():
                raise InterruptedError("another training of the same fit has ended early")
            with self._lock:
                self._done[number] = progress.done
                epoch_done = progress.epoch_done if number == 0 else None  # one curve of losses is enough
                of_all = replace(
                    progress,
                    done=sum(self._done),
                    total=progress.total * len(self._done),
                    epoch_done=epoch_done,
                )
                self._on_progress(of_all)

        return show

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, *_: object) -> None:
        self._left.set()
