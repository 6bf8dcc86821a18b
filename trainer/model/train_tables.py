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
from trainer.model.training_step import TwoTables
from trainer.model.vectors import unit_rows

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
) -> tuple[np.ndarray, np.ndarray]:
    """Return the trained embeddings of users and of movies, unit rows; zeros for users without a history.

    history: CSR float32[num_users, num_movies], how much each movie counts.
    hyperparameters: with a temperature.  on_progress, checkpoints: as for `fit`.
    """
    assert hyperparameters.temperature is not None
    with_history = np.flatnonzero(np.diff(history.indptr))
    histories = history[with_history]  # CSR float32[U, num_movies]
    checkpoint = Checkpoint(checkpoints, histories, hyperparameters) if checkpoints is not None else None
    saved = checkpoint.load() if checkpoint is not None else None
    num_epochs = hyperparameters.epochs_for(history.shape[0])
    if saved is not None:
        done, state = saved
        log.info("goes on after epoch %d of %d, where it was killed", done, num_epochs)
        tables = TwoTables.resumed(state, partition.is_exact)
    else:
        done, tables = 0, TwoTables(*_start(histories, hyperparameters), partition.is_exact)
    temperatures = user_temperatures(hyperparameters.temperature, histories)
    for epoch in range(done + 1, num_epochs + 1):
        _train_epoch(epoch, num_epochs, histories, temperatures, partition, tables, hyperparameters, on_progress)
        if checkpoint is not None:
            checkpoint.save(epoch, tables.state())
    users = np.zeros((history.shape[0], hyperparameters.embedding_dim), np.float32)
    users[with_history], movies = tables.embeddings(histories)
    return users, movies


def _start(histories: sparse.csr_matrix, hyperparameters: Hyperparameters) -> tuple[np.ndarray, np.ndarray]:
    """Return float32[num_users, d] and float32[num_movies, d]: the tables before training."""
    dim = hyperparameters.embedding_dim
    rng = np.random.default_rng(hyperparameters.seed)
    length = np.float32(START_LENGTH_PER_ROOT_DIM * dim**0.5)
    noise = rng.standard_normal((histories.shape[1], dim), np.float32) * np.float32(START_NOISE / dim**0.5)
    movies = spectral_start(histories, dim, rng) + noise
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
) -> None:
    """Take a step for each batch of users, in an order that depends on the seed and the epoch only.

    epoch: from 1.  temperatures: float32[num_users].
    """
    num_users = histories.shape[0]
    batch_size = hyperparameters.batch_size_for(num_users)
    rng = np.random.default_rng([hyperparameters.seed, epoch])
    order = rng.permutation(num_users)
    per_epoch = -(-num_users // batch_size)
    total = per_epoch * num_epochs
    losses = weight = 0.0
    for number in range(per_epoch):
        users = order[number * batch_size : (number + 1) * batch_size]
        batch = histories[users]
        done = per_epoch * (epoch - 1) + number
        rate = hyperparameters.learning_rate * (1 + np.cos(np.pi * done / total)) / 2
        losses += tables.take_step(users, batch, temperatures[users], partition.draw(rng), rate)
        weight += float(batch.sum())
        ended = epoch if number + 1 == per_epoch else None
        on_progress(Progress("training", done + 1, total, losses / weight, ended))
