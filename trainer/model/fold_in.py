"""Folding in: a user's embedding from the movies they watched, while the movies' embeddings stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from trainer.model.vectors import unit_rows

STEPS = 10  # half as many rank slightly worse; twice as many gain nothing
STEP_SIZE = 1.0  # twice this size does not converge
TYPICAL_HISTORY = 50  # movies; near the geometric mean over users of ml-100k and of ml-latest-small
BREADTH = 0.15  # the best of 0, 0.15, 0.3 and 0.5 on ml-100k, and better than 0 on ml-latest-small
FEW_MOVIES = 10  # without this term newcomers with five liked movies get clearly worse lists
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


def fold_in(history: sparse.csr_matrix, movies: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    """Return float32[num_users, d] with unit rows; zeros for a user without history.

    Projected gradient ascent on the training likelihood, with the movies frozen, starts at the mean of the history. The
    `fold_in` signature of the user tower does the same.

    history: CSR float32[num_users, num_movies], how much each movie counts.  movies: float32[num_movies, d], unit rows.
    temperatures: float32[num_users].
    """
    blocks = [slice(i, i + BLOCK) for i in range(0, history.shape[0], BLOCK)]
    return np.concatenate([_fold_in_block(history[rows], movies, temperatures[rows, None]) for rows in blocks])


def _fold_in_block(history: sparse.csr_matrix, movies: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    """Fold in the users of one block.  temperatures: float32[B, 1]."""
    weight = np.asarray(history.sum(axis=1))  # float32[B, 1]
    mean = (history @ movies) / np.maximum(weight, np.finfo(np.float32).tiny)  # float32[B, d]
    users = unit_rows(mean)
    for _ in range(STEPS):
        probabilities = np.exp((users @ movies.T - 1) / temperatures)  # float32[B, num_movies]; cosines are at most 1
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        users = unit_rows(users + STEP_SIZE * (mean - probabilities @ movies))
    result: np.ndarray = np.where(weight > 0, users, 0).astype(np.float32)
    return result


def _lengths(history: sparse.csr_matrix) -> np.ndarray:
    """Return float64[num_users]: the number of movies in each history, and 1 for an empty one."""
    lengths: np.ndarray = np.maximum(np.diff(history.indptr), 1).astype(np.float64)
    return lengths
