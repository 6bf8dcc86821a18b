"""Ratings that come after another of the same user and movie."""

from __future__ import annotations

import numpy as np
import pandas as pd


def is_last(user_ids: np.ndarray, movie_ids: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """bool[n]: whether a rating is its user's last of that movie: the latest, and of those as late, the last row.

    user_ids, movie_ids, seconds: int64[n].
    """
    users, movies = pd.factorize(user_ids)[0], pd.factorize(movie_ids)
    pairs = users * len(movies[1]) + movies[0]  # int64[n], one number for each pair
    ordered = np.sort(pairs)
    if not (ordered[1:] == ordered[:-1]).any():
        return np.ones(len(pairs), bool)
    order = np.lexsort((seconds, pairs))  # stable: rows of one time stay in their order
    last_of_pair = np.r_[pairs[order][1:] != pairs[order][:-1], True]
    last = np.zeros(len(pairs), bool)
    last[order[last_of_pair]] = True
    return last
