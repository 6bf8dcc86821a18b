"""Ranking metrics with binary relevance, one value per user, in [0, 1].

ranked_rows: int[num_users, k], best first, −1 where a user had fewer than k candidates.
held_out: CSR[num_users, num_movies], nonzero where the user liked the movie in the test part; no row is empty.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse


def recall_at_k(ranked_rows: np.ndarray, held_out: sparse.csr_matrix) -> np.ndarray:
    """Return float64[num_users]: hits among the first k, divided by the number of the user's held-out positives."""
    recalls: np.ndarray = _hits(ranked_rows, held_out).sum(axis=1) / np.diff(held_out.indptr)
    return recalls


def ndcg_at_k(ranked_rows: np.ndarray, held_out: sparse.csr_matrix) -> np.ndarray:
    """Return float64[num_users]: the DCG divided by that of the best possible list (Järvelin & Kekäläinen 2002).

    Gains are binary and the discount is 1/log2(rank + 1), with ranks counted from 1.
    """
    discounts = 1.0 / np.log2(np.arange(2, ranked_rows.shape[1] + 2))
    ideal = np.cumsum(discounts)[np.minimum(np.diff(held_out.indptr), ranked_rows.shape[1]) - 1]
    ndcgs: np.ndarray = _hits(ranked_rows, held_out) @ discounts / ideal
    return ndcgs


def hit_rate_at_k(ranked_rows: np.ndarray, held_out: sparse.csr_matrix) -> np.ndarray:
    """Return float64[num_users]: 1 if there is a hit among the first k, else 0."""
    hits: np.ndarray = np.any(_hits(ranked_rows, held_out), axis=1)
    return hits.astype(np.float64)


def coverage_at_k(ranked_rows: np.ndarray, num_movies: int) -> float:
    """Return the share of the catalogue that is in at least one user's first k."""
    return len(np.unique(ranked_rows[ranked_rows >= 0])) / num_movies


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of float64[num_users]; 0 if there is one user."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def _hits(ranked_rows: np.ndarray, held_out: sparse.csr_matrix) -> np.ndarray:
    """Return bool[num_users, k]: whether each ranked movie is a held-out positive."""
    if ranked_rows.shape[0] != held_out.shape[0]:
        raise ValueError(f"expected one list per user, got {ranked_rows.shape[0]} for {held_out.shape[0]} users")
    users = np.arange(ranked_rows.shape[0])[:, None]
    liked: np.ndarray = np.asarray(held_out[users, np.maximum(ranked_rows, 0)].todense()) != 0
    hits: np.ndarray = liked & (ranked_rows >= 0)
    return hits
