"""The model: two embedding tables on the unit sphere, trained so that cosine ranks.

The score of a movie for a user is the cosine of their embeddings divided by the user's temperature; the loss is the
softmax cross-entropy of the user's history over the catalogue (a multinomial likelihood, Liang et al. 2018, sec. 2).
Cosine is the metric that the index searches, so what is trained is what is served.

Training starts at the singular vectors of the histories. Each user's final embedding is then folded in from their
history, in which later ratings count more, because people tend to watch next what is like the movies they watched last.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from trainer.data.interactions import Interactions
from trainer.model.checkpoints import Checkpoint
from trainer.model.fold_in import fold_in, user_temperatures
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.partition import Partition
from trainer.model.progress import OnProgress, Progress
from trainer.model.spectral_start import spectral_start
from trainer.model.training_step import TwoTables
from trainer.model.vectors import principal_axes, unit_rows

# Only a row's direction counts. Its length decides how far one step turns it; this one has components of about 0.05.
START_LENGTH_PER_ROOT_DIM = 0.05
START_NOISE = 0.02  # as a share of the length, so that movies with the same users can part


@dataclass(frozen=True)
class Embeddings:
    """The fitted model.

    users: float32[num_users, embedding_dim], unit rows; zeros for a user without positives.
    movies: float32[num_trained_movies, embedding_dim], unit rows.
    temperature: the typical user's during training.
    """

    users: np.ndarray
    movies: np.ndarray
    temperature: float


def fit(
    known: Interactions,
    hyperparameters: Hyperparameters,
    on_progress: OnProgress = lambda progress: None,
    checkpoints: Path | None = None,
) -> Embeddings:
    """Fit the movies, then fold in the users; the same seed gives the same embeddings.

    Both are rotated so that their leading components tell most: see `principal_axes`.

    on_progress: called after each step.  checkpoints: a folder in which a long fit leaves its state. If the fit is
    killed, the same call goes on from there, with the same result as without the interruption.
    """
    num_likes = known.popularity[: known.num_trained_movies]
    temperature = hyperparameters.temperature_for(num_likes)
    partition = Partition(num_likes)
    training_history = known.history(0.0, hyperparameters.watched_weight)
    users, movies = _train(training_history, temperature, partition, hyperparameters, on_progress, checkpoints)
    axes = principal_axes(movies)
    users, movies = unit_rows(users @ axes), unit_rows(movies @ axes)
    history = known.history(hyperparameters.recency, hyperparameters.watched_weight)
    users = fold_in(history, movies, user_temperatures(temperature, history), users, partition, on_progress)
    return Embeddings(users, movies, temperature)


def _train(
    history: sparse.csr_matrix,
    temperature: float,
    partition: Partition,
    hyperparameters: Hyperparameters,
    on_progress: OnProgress,
    checkpoints: Path | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the trained embeddings of users and of movies, unit rows; zeros for users without a history.

    history: CSR float32[num_users, num_movies], how much each movie counts.
    """
    with_history = np.flatnonzero(np.diff(history.indptr))
    histories = history[with_history]  # CSR float32[U, num_movies]
    checkpoint = Checkpoint(checkpoints, histories, hyperparameters) if checkpoints is not None else None
    saved = checkpoint.load() if checkpoint is not None else None
    num_epochs = hyperparameters.epochs_for(history.shape[0])
    if saved is not None:
        done, state = saved
        tables = TwoTables.resumed(state, partition.is_exact)
    else:
        done, tables = 0, TwoTables(*_start(histories, hyperparameters), partition.is_exact)
    temperatures = user_temperatures(temperature, histories)
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
