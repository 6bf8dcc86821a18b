"""Training: the tables of users and of movies, from their singular vectors to the end of the last epoch."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from scipy import sparse

from trainer.model.checkpoints import Checkpoint
from trainer.model.fold_in import user_temperatures
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.partition import Partition
from trainer.model.progress import OnProgress, Progress
from trainer.model.spectral_start import spectral_start
from trainer.model.throughput import throughput_logged
from trainer.model.training_step import TwoTables
from trainer.model.vectors import TINY, unit_rows
from trainer.workers.workers import ALONE, Workers, total

# Only a row's direction counts. Its length decides how far one step turns it; this one has components of about 0.05.
START_LENGTH_PER_ROOT_DIM = 0.05
START_NOISE = 0.02  # as a share of the length, so that movies with the same users can part

log = logging.getLogger(__name__)


def train_tables(
    history: sparse.csr_matrix,
    partition: Partition,
    hyperparameters: Hyperparameters,
    on_progress: OnProgress,
    checkpoints: Path | None = None,
    workers: Workers = ALONE,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the trained embeddings of users and of movies, unit rows; zeros for users without a history.

    history: CSR float32[num_users, num_movies], how much each movie counts.
    hyperparameters: with a temperature.  on_progress, checkpoints, workers: as for `fit`.
    """
    assert hyperparameters.temperature is not None
    with_history = np.flatnonzero(np.diff(history.indptr))
    histories = history  # CSR float32[U, num_movies]; a copy of many million entries would take gigabytes
    if len(with_history) < history.shape[0]:
        histories = history[with_history]
    checkpoint = Checkpoint(checkpoints, histories, hyperparameters, workers) if checkpoints is not None else None
    saved = checkpoint.load() if checkpoint is not None else None
    num_epochs = hyperparameters.epochs_for(total(workers, history.shape[0]))
    if saved is not None:
        done, state = saved
        log.info("goes on after epoch %d of %d, where it was killed", done, num_epochs)
        tables = TwoTables.resumed(state, partition.is_exact, workers)
    else:
        done, tables = 0, TwoTables(*_start(histories, hyperparameters, workers), partition.is_exact, workers)
    temperatures = user_temperatures(hyperparameters.temperature, histories)
    with throughput_logged(workers, len(with_history) * (num_epochs - done)):
        for epoch in range(done + 1, num_epochs + 1):
            _train_epoch(
                epoch, num_epochs, histories, temperatures, partition, tables, hyperparameters, on_progress, workers
            )
            if checkpoint is not None:
                checkpoint.save(epoch, tables.state)
    users = np.zeros((history.shape[0], hyperparameters.embedding_dim), np.float32)
    users[with_history], movies = tables.embeddings(histories)
    return users, workers.from_chief(movies)  # processors of different kinds may round differently


def _start(
    histories: sparse.csr_matrix, hyperparameters: Hyperparameters, workers: Workers
) -> tuple[np.ndarray, np.ndarray]:
    """Return float32[num_users, d] and float32[num_movies, d]: the tables before training."""
    dim = hyperparameters.embedding_dim
    rng = np.random.default_rng(hyperparameters.seed)
    length = np.float32(START_LENGTH_PER_ROOT_DIM * dim**0.5)
    noise = rng.standard_normal((histories.shape[1], dim), np.float32) * np.float32(START_NOISE / dim**0.5)
    movies = spectral_start(histories, dim, rng, workers) + noise
    return length * unit_rows(histories @ movies), length * movies


def _train_epoch(
    epoch: int,
    num_epochs: int,
    histories: sparse.csr_matrix,
    temperatures: np.ndarray,
    partition: Partition,
    tables: TwoTables,
    hyperparameters: Hyperparameters,
    on_progress: OnProgress,
    workers: Workers,
) -> None:
    """Take a step for each batch of users, in an order that depends on the seed and the epoch only.

    Every worker takes as many steps as the others, and has a share of each batch that follows its share of the users.

    epoch: from 1.  temperatures: float32[num_users].
    """
    by_worker = np.concatenate(workers.gather(np.array([histories.shape[0]], np.int64)))
    num_users = int(by_worker.sum())
    batch_size = hyperparameters.batch_size_for(num_users)
    rng = np.random.default_rng([hyperparameters.seed, epoch])
    order = workers.own(rng).permutation(histories.shape[0])
    per_epoch = -(-num_users // batch_size)
    ends = np.minimum(np.arange(per_epoch + 1) * batch_size, num_users)
    ends = by_worker[:, None] * ends // num_users  # int64[num_workers, per_epoch + 1]: of each worker's users
    sizes, own_ends = np.diff(ends, axis=1).sum(axis=0), ends[workers.rank]
    num_steps = per_epoch * num_epochs
    losses = weight = 0.0
    for number in range(per_epoch):
        users = order[own_ends[number] : own_ends[number + 1]]
        batch = histories[users]
        done = per_epoch * (epoch - 1) + number
        rate = hyperparameters.learning_rate * (1 + np.cos(np.pi * done / num_steps)) / 2
        candidates = partition.draw(rng)
        losses += tables.take_step(users, batch, temperatures[users], candidates, rate, int(sizes[number]))
        weight += float(batch.sum())
        ended = epoch if number + 1 == per_epoch else None
        on_progress(Progress("training", done + 1, num_steps, losses / max(weight, TINY), ended))
