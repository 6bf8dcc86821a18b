"""Exact rankings, which metrics and the index are measured against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

BLOCK = 512  # users scored at once: 512 × 60,000 movies are 123 MB


def exact_ranking(users: np.ndarray, movies: np.ndarray, exclude: sparse.csr_matrix, k: int) -> np.ndarray:
    """int32[num_users, k]: rows of the largest dot products, best first, −1 where fewer than k movies are left.

    users: float32[num_users, d].  movies: float32[num_movies, d].  exclude: CSR[num_users, num_movies].
    """
    return scored_ranking(lambda rows: users[rows] @ movies.T, exclude, k)


def scored_ranking(scores: Callable[[slice], np.ndarray], exclude: sparse.csr_matrix, k: int) -> np.ndarray:
    """int32[num_users, k]: rows of the highest scores, as above.

    scores: a new float32[B, num_movies] for a slice of the users.  exclude: CSR[num_users, num_movies].
    """
    slices = [slice(i, min(i + BLOCK, exclude.shape[0])) for i in range(0, exclude.shape[0], BLOCK)]
    blocks = [_top_k(scores(rows), exclude[rows], k) for rows in slices]
    return np.concatenate(blocks) if blocks else np.empty((0, k), np.int32)


def popularity_ranking(popularity: np.ndarray, exclude: sparse.csr_matrix, k: int) -> np.ndarray:
    """int32[num_users, k]: the same order for everybody, less what each has watched.  popularity: [num_movies]."""
    num_users = exclude.shape[0]
    return exact_ranking(np.ones((num_users, 1), np.float32), popularity[:, None].astype(np.float32), exclude, k)


def _top_k(scores: np.ndarray, exclude: sparse.csr_matrix, k: int) -> np.ndarray:
    """scores: float32[B, num_movies], overwritten."""
    users = np.repeat(np.arange(len(scores)), np.diff(exclude.indptr))
    scores[users, exclude.indices] = -np.inf
    kept = min(k, scores.shape[1])
    rows = (
        np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
        if kept < scores.shape[1]
        else np.argsort(-scores)[:, :kept]
    )
    best = np.take_along_axis(scores, rows, axis=1)
    order = np.lexsort((rows, -best), axis=1)  # ties by row, so that a ranking does not depend on the partition
    rows = np.take_along_axis(rows, order, axis=1).astype(np.int32)
    rows[np.isneginf(np.take_along_axis(scores, rows, axis=1))] = -1
    return np.pad(rows, ((0, 0), (0, k - kept)), constant_values=-1)
