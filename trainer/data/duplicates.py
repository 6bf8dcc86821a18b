"""Ratings that come after another of the same user and movie."""

from __future__ import annotations

import numpy as np
import pandas as pd

MAX_FACTOR = 1 << 31  # the product of two numbers below fits into int64


def is_last(user_ids: np.ndarray, movie_ids: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """bool[n]: whether a rating is its user's last of that movie: the latest, and of those as late, the last row.

    user_ids, movie_ids, seconds: int[n].
    """
    pairs = _pairs(user_ids, movie_ids)
    ordered = np.sort(pairs)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    del ordered
    last = np.ones(len(pairs), bool)
    if len(repeated):
        rows = np.flatnonzero(pd.Series(pairs, copy=False).isin(repeated))
        order = rows[np.lexsort((seconds[rows], pairs[rows]))]  # stable: rows of one time stay in their order
        last[order] = np.r_[pairs[order][1:] != pairs[order][:-1], True]
    return last


def _pairs(user_ids: np.ndarray, movie_ids: np.ndarray) -> np.ndarray:
    """int64[n]: one number for each pair of a user and a movie."""
    if max(user_ids.max(initial=0), movie_ids.max(initial=0)) >= MAX_FACTOR:
        user_ids, movie_ids = pd.factorize(user_ids)[0], pd.factorize(movie_ids)[0]
    pairs: np.ndarray = user_ids.astype(np.int64)
    pairs *= int(movie_ids.max(initial=0)) + 1
    pairs += movie_ids
    return pairs
