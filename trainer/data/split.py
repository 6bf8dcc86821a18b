"""The split that evaluation stands on: in time where times tell an order, at random where they do not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trainer.data.interactions import rows_of, unique_ids
from trainer.data.order import by_user_and_movie, grouped_order, user_blocks
from trainer.data.times import tell_order_coarsely


def split(ratings: pd.DataFrame, test_share: float = 0.2, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(train, test): the test part holds each user's last floor(test_share · n) ratings, at least one.

    Their order is that of (timestamp, movie_id).  It is random, by the seed, for users whose times are all equal (where
    the times of a data set are not usable, all are 0), and among equal times if all times are whole days or counts: by
    movie_id, the newest movies would be held out.  A user with a single rating stays in the training part.
    """
    order, in_test = _in_order(ratings, test_share, seed)
    return _rows(ratings, order[~in_test]), _rows(ratings, order[in_test])


def _in_order(ratings: pd.DataFrame, test_share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (int[n], the order by user and time; bool[n], whether a rating in that order is in the test part)."""
    users, movies = ratings["user_id"].to_numpy(), ratings["movie_id"].to_numpy()
    user_ids, movie_ids = unique_ids(users), unique_ids(movies)
    shape = (len(user_ids), len(movie_ids))
    matrix = by_user_and_movie(rows_of(user_ids, users), rows_of(movie_ids, movies), shape)
    indptr, order = matrix.indptr, matrix.data
    times = ratings["timestamp"].to_numpy()
    is_coarse = tell_order_coarsely(times)
    shuffled: np.ndarray | None = None
    in_test = np.empty(len(order), bool)
    for block in user_blocks(indptr):
        entries = slice(indptr[block.start], indptr[block.stop])
        starts, count = indptr[block] - indptr[block.start], np.diff(indptr[block.start : block.stop + 1])
        rows, own_times = np.repeat(np.arange(len(count)), count), times[order[entries]]
        equal = np.minimum.reduceat(own_times, starts) == np.maximum.reduceat(own_times, starts)
        if is_coarse or equal.any():
            if shuffled is None:
                shuffled = np.random.default_rng(seed).permutation(len(order))
            tie = np.where(np.repeat(equal | is_coarse, count), shuffled[entries], np.arange(len(rows)))
            chosen = np.lexsort((tie, own_times, rows))
        else:
            chosen = grouped_order(rows, own_times)
        order[entries] = order[entries][chosen]
        num_test = np.where(count > 1, np.maximum(1, (count * test_share).astype(int)), 0)
        in_test[entries] = np.arange(len(rows)) - starts[rows] >= (count - num_test)[rows]
    return order, in_test


def _rows(ratings: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Return these rows, numbered anew: an index would take half as much memory as the ratings."""
    return pd.DataFrame({name: ratings[name].to_numpy()[rows] for name in ratings}, copy=False)
