"""The split that evaluation stands on: in time where times tell an order, at random where they do not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trainer.data.times import tell_order_coarsely


def split(ratings: pd.DataFrame, test_share: float = 0.2, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(train, test): the test part holds each user's last floor(test_share · n) ratings, at least one.

    Their order is that of (timestamp, movie_id).  It is random, by the seed, for users whose times are all equal (where
    the times of a data set are not usable, all are 0), and among equal times if all times are whole days or counts: by
    movie_id, the newest movies would be held out.  A user with a single rating stays in the training part.
    """
    by_movie = ratings.sort_values(["user_id", "movie_id"], kind="stable")
    users, times = by_movie["user_id"].to_numpy(), by_movie["timestamp"].to_numpy()
    starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]][: len(users)])
    count = np.diff(np.r_[starts, len(users)])
    tie = np.arange(len(users))
    shuffled = np.random.default_rng(seed).permutation(len(users))
    if tell_order_coarsely(times):
        tie = shuffled
    elif len(users):
        equal = np.minimum.reduceat(times, starts) == np.maximum.reduceat(times, starts)
        tie = np.where(np.repeat(equal, count), shuffled, tie)
    order = np.lexsort((tie, times, users))
    position = np.arange(len(users)) - np.repeat(starts, count)
    num_test = np.where(count > 1, np.maximum(1, (count * test_share).astype(int)), 0)
    in_test = position >= np.repeat(count - num_test, count)
    return by_movie.iloc[order[~in_test]], by_movie.iloc[order[in_test]]
