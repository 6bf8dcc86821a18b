"""The split that evaluation stands on: in time where times tell an order, at random where they do not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trainer.data.order import grouped_order, starts_of
from trainer.data.times import tell_order_coarsely


def split(ratings: pd.DataFrame, test_share: float = 0.2, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(train, test): the test part holds each user's last floor(test_share · n) ratings, at least one.

    Their order is that of (timestamp, movie_id).  It is random, by the seed, for users whose times are all equal (where
    the times of a data set are not usable, all are 0), and among equal times if all times are whole days or counts: by
    movie_id, the newest movies would be held out.  A user with a single rating stays in the training part.
    """
    order, in_test = _in_order(ratings, test_share, seed)
    return ratings.iloc[order[~in_test]], ratings.iloc[order[in_test]]


def _in_order(ratings: pd.DataFrame, test_share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (int64[n], the order by user and time; bool[n], whether a rating in that order is in the test part)."""
    by_movie = grouped_order(ratings["user_id"].to_numpy(), ratings["movie_id"].to_numpy())
    users, times = ratings["user_id"].to_numpy()[by_movie], ratings["timestamp"].to_numpy()[by_movie]
    starts = starts_of(users)
    count = np.diff(np.r_[starts, len(users)])
    is_random = np.ones(len(starts), bool)  # whether a user's equal times are in random order
    if len(users) and not tell_order_coarsely(times):
        is_random = np.minimum.reduceat(times, starts) == np.maximum.reduceat(times, starts)
    if is_random.any():
        shuffled = np.random.default_rng(seed).permutation(len(users))
        tie = np.where(np.repeat(is_random, count), shuffled, np.arange(len(users)))
        order = np.lexsort((tie, times, users))
    else:
        order = grouped_order(users, times)
    position = np.arange(len(users)) - np.repeat(starts, count)
    num_test = np.where(count > 1, np.maximum(1, (count * test_share).astype(int)), 0)
    return by_movie[order], position >= np.repeat(count - num_test, count)
