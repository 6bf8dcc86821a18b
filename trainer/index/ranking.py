"""Exact rankings, which the metrics score and the index is measured against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

BLOCK = 512  # users scored at once, so that their scores of 60,000 movies take 123 MB


def exact_ranking(users: np.ndarray, movies: np.ndarray, exclude: sparse.csr_matrix, k: int) -> np.ndarray:
    """Return int32[num_users, k]: the rows of the largest dot products, best first, −1 where fewer movies are left.

    users: float32[num_users, d].  movies: float32[num_movies, d].  exclude: CSR[num_users, num_movies].
    """
    return scored_ranking(lambda rows: users[rows] @ movies.T, exclude, k)


def scored_ranking(scores: Callable[[slice], np.ndarray], exclude: sparse.csr_matrix, k: int) -> np.ndarray:
    """Return int32[num_users, k]: the rows of the highest scores, best first, −1 where fewer movies are left.

    scores: takes a slice of the users and returns a new array float32[B, num_movies], which is overwritten.
    exclude: CSR[num_users, num_movies].
    """
    slices = [slice(i, min(i + BLOCK, exclude.shape[0])) for i in range(0, exclude.shape[0], BLOCK)]
    blocks = [_top_k(scores(rows), exclude[rows], k) for rows in slices]
    return np.concatenate(blocks) if blocks else np.empty((0, k), np.int32)


def popularity_ranking(num_likes: np.ndarray, exclude: sparse.csr_matrix, k: int) -> np.ndarray:
    """Return int32[num_users, k]: the rows of the most liked movies that are not excluded, most liked first.

    num_likes: int64[num_movies].  exclude: CSR[num_users, num_movies].
    """
    num_users = exclude.shape[0]
    return exact_ranking(np.ones((num_users, 1), np.float32), num_likes[:, None].astype(np.float32), exclude, k)


def _top_k(scores: np.ndarray, exclude: sparse.csr_matrix, k: int) -> np.ndarray:
    """Return int32[B, k]: the rows of each user's highest scores.  scores: float32[B, num_movies], overwritten."""
    users = np.repeat(np.arange(len(scores)), np.diff(exclude.indptr))
    scores[users, exclude.indices] = -np.inf
    kept = min(k, scores.shape[1])
    if kept < scores.shape[1]:
        rows = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
    else:
        rows = np.argsort(-scores)[:, :kept]
    best = np.take_along_axis(scores, rows, axis=1)
    order = np.lexsort((rows, -best), axis=1)  # ties by row, so that a ranking does not depend on the partition
    rows = np.take_along_axis(rows, order, axis=1).astype(np.int32)
    rows[np.isneginf(np.take_along_axis(scores, rows, axis=1))] = -1
    return np.pad(rows, ((0, 0), (0, k - kept)), constant_values=-1)
