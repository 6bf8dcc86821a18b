"""Several trainings of the same tables from different seeds, whose embeddings are joined side by side."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
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
    seeded = [replace(hyperparameters, seed=hyperparameters.seed + number * SEED_STEP) for number in range(count)]

    def train(of_one: Hyperparameters, show: OnProgress) -> tuple[np.ndarray, np.ndarray]:
        return train_tables(history, partition, of_one, show, checkpoints, workers)

    with ThreadPoolExecutor(count if workers.count == 1 else 1) as threads, _shown_as_one(count, on_progress) as shows:
        tables = list(threads.map(train, seeded, shows))
    users, movies = (np.hstack(parts) / np.float32(np.sqrt(count)) for parts in zip(*tables, strict=True))
    return users, movies


@contextmanager
def _shown_as_one(count: int, on_progress: OnProgress) -> Iterator[list[OnProgress]]:
    """Yield what each of so many trainings calls after a step. Left early, by an error or Ctrl-C, it ends them all."""
    done, lock, is_left = [0] * count, Lock(), Event()

    def show(number: int, progress: Progress) -> None:
        if is_left.is_set():
            raise InterruptedError("another training of the same fit has ended early")
        with lock:
            done[number] = progress.done
            epoch_done = progress.epoch_done if number == 0 else None  # one curve of losses is enough
            on_progress(replace(progress, done=sum(done), total=progress.total * count, epoch_done=epoch_done))

    try:
        yield [partial(show, number) for number in range(count)]
    finally:
        is_left.set()
