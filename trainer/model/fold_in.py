"""Folding in: a user's embedding from the movies they watched, while the movies' embeddings stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from trainer.model.partition import Partition
from trainer.model.progress import OnProgress, Progress
from trainer.model.tensorflow_quietly import tf
from trainer.model.vectors import unit_rows

STEPS = 5  # three rank slightly worse; twice as many gain nothing
STEP_SIZE = 1.0  # twice this size does not converge
TYPICAL_HISTORY = 50  # movies; near the geometric mean over users of ml-100k and of ml-latest-small
BREADTH = 0.15  # the best of 0, 0.15, 0.3 and 0.5 on ml-100k, and better than 0 on ml-latest-small
FEW_MOVIES = 4  # without this term newcomers with five liked movies get clearly worse lists
SEED = 1  # of the candidates
BLOCK = 512  # users at once, so that their scores of 60,000 movies take 123 MB


def user_temperatures(temperature: float, history: sparse.csr_matrix) -> np.ndarray:
    """Return float32[num_users]: what each user's cosines are divided by.

    The typical user gets `temperature`. Users who watch more movies watch more kinds of movies, so they get a higher
    temperature, which makes the softmax flatter.
    """
    temperatures = temperature * (_lengths(history) / TYPICAL_HISTORY) ** BREADTH
    return temperatures.astype(np.float32)


def newcomer_temperatures(temperature: float, history: sparse.csr_matrix) -> np.ndarray:
    """Return float32[num_users]: the same for users whose history may have only begun."""
    temperatures: np.ndarray = temperature * newcomer_factor(_lengths(history))
    return temperatures.astype(np.float32)


def newcomer_factor(length: Any) -> Any:
    """Return a newcomer's temperature divided by the typical user's.

    A few movies say little about a user, so a short history flattens the softmax.
    length: the history's number of movies, at least 1, as an array or a tensor.
    """
    return (length / TYPICAL_HISTORY) ** BREADTH * (1 + (FEW_MOVIES / length) ** 2)


def fold_in(
    history: sparse.csr_matrix,
    movies: np.ndarray,
    temperatures: np.ndarray,
    start: np.ndarray | None = None,
    partition: Partition | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> np.ndarray:
    """Return float32[num_users, d] with unit rows; zeros for a user without history.

    Projected gradient ascent on the training likelihood, with the movies frozen. From the mean of the history it does
    the same as the `fold_in` signature of the user tower.

    history: CSR float32[num_users, num_movies], how much each movie counts.  movies: float32[num_movies, d], unit rows.
    temperatures: float32[num_users].
    start: float32[num_users, d], unit rows, where the ascent starts; None: at the mean of the history.
    partition: which movies the likelihood is summed over; None: all.
    """
    num_users = history.shape[0]
    users = np.zeros((num_users, movies.shape[1]), np.float32)
    all_movies, no_weights = tf.constant(movies), tf.zeros(len(movies))
    rng = np.random.default_rng(SEED)
    offsets = range(0, num_users, BLOCK)
    for number, offset in enumerate(offsets):
        block = slice(offset, offset + BLOCK)
        weight = np.asarray(history[block].sum(axis=1))  # float32[B, 1]
        mean = (history[block] @ movies) / np.maximum(weight, np.finfo(np.float32).tiny)  # float32[B, d]
        first = unit_rows(mean) if start is None else start[block]
        scored, log_weights = all_movies, no_weights
        if partition is not None:
            candidates = partition.draw(rng)
            log_weights = tf.constant(candidates.log_weights)
            scored = all_movies if partition.is_exact else tf.constant(movies[candidates.rows])
        folded = ascend(tf.constant(first), tf.constant(mean), temperatures[block, None], scored, log_weights)
        users[block] = np.where(weight > 0, folded.numpy(), 0)
        on_progress(Progress("folding in users", number + 1, len(offsets)))
    return users


@tf.function(reduce_retracing=True, autograph=False)
def ascend(
    start: tf.Tensor, mean: tf.Tensor, temperatures: tf.Tensor, movies: tf.Tensor, log_weights: tf.Tensor
) -> tf.Tensor:
    """Return float32[B, d]: the users after STEPS steps of projected gradient ascent.

    start: float32[B, d], unit rows.  mean: float32[B, d], of the history.  temperatures: float32[B, 1].
    movies: float32[C, d], over which the likelihood is summed.  log_weights: float32[C], added to their logits.
    """
    users = start
    for _ in range(STEPS):
        # the large matrix first: for 32 users half the time of users × moviesᵀ
        logits = tf.transpose(tf.matmul(movies, users / temperatures, transpose_b=True)) + log_weights
        expected = tf.matmul(tf.nn.softmax(logits), movies)  # float32[B, d]
        users = tf.math.l2_normalize(users + STEP_SIZE * (mean - expected), axis=1)
    return users


def _lengths(history: sparse.csr_matrix) -> np.ndarray:
    """Return float64[num_users]: the effective number of movies in each history, (Σ weight)² / Σ weight², at least 1.

    It is their number if all count alike, and less if the latest count most.
    """
    total = np.asarray(history.sum(axis=1), np.float64).ravel()
    squares = np.asarray(history.multiply(history).sum(axis=1), np.float64).ravel()
    lengths: np.ndarray = np.maximum(total**2 / np.maximum(squares, np.finfo(np.float32).tiny), 1)
    return lengths
