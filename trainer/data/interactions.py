"""Who rated and who liked what, by rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from trainer.data.order import by_user_and_movie, grouped_order, user_blocks
from trainer.data.records import DataError
from trainer.workers.workers import ALONE, Workers, union

MAX_SPARSITY = 4  # ids that are nearly as dense as rows are looked up in a table
MIN_SHARE = 0.1  # of the highest rating: on scales that go to 0 or below, what was liked must count


@dataclass(frozen=True)
class Interactions:
    """Ratings with ids turned into rows.

    user_ids: int64[num_users], ascending; everybody who rated.
    movie_ids: int64[num_movies]; first the trained movies, which somebody liked, then the others, of these first those
    that are described; each part ascending.
    watched: CSR float32[num_users, num_movies], 1 where rated.
    liked: bool[watched.nnz], for its entries in order: rated at least `positive_threshold`.
    freshness: float32[watched.nnz], for its entries: the share of the user's ratings that are not newer, above 0 to 1;
    the same for all of a user's ratings if their times are equal or missing.
    stars: float32[watched.nnz], for its entries: the rating; the mean rating for movies that were seen but not rated.
    positives: CSR float32[num_users, num_trained_movies], 1 where rated at least `positive_threshold`: liked.
    likes: int64[num_trained_movies], how many users liked each movie.  highest: the highest rating.

    Of several workers each has a part of the users, while movie_ids, likes and highest are those of all.
    """

    user_ids: np.ndarray
    movie_ids: np.ndarray
    watched: sparse.csr_matrix
    liked: np.ndarray
    freshness: np.ndarray
    stars: np.ndarray
    positives: sparse.csr_matrix
    positive_threshold: float
    likes: np.ndarray
    highest: float

    @property
    def num_trained_movies(self) -> int:
        return int(self.positives.shape[1])

    @property
    def watched_trained(self) -> sparse.csr_matrix:
        """`watched` without the movies that have no embedding: CSR float32[num_users, num_trained_movies]."""
        return self.watched[:, : self.num_trained_movies]

    @property
    def stars_of_trained(self) -> np.ndarray:
        """float32: the ratings of `watched_trained`, in the order of its entries."""
        stars: np.ndarray = self.stars[self.watched.indices < self.num_trained_movies]
        return stars

    @property
    def popularity(self) -> np.ndarray:
        """int64[num_movies]: how many users liked each movie."""
        return np.pad(self.likes, (0, len(self.movie_ids) - len(self.likes)))

    def history(self, recency: float, watched_weight: float) -> sparse.csr_matrix:
        """CSR float32[num_users, num_trained_movies]: what tells of a user's taste, and how much it counts.

        1 for a movie they liked, `watched_weight` for one they only watched, times its rating's share of the highest,
        times exp(−recency · share of the user's ratings that are newer). Nothing for users who liked nothing.
        """
        weights = np.ones(len(self.stars), np.float32)
        if self.highest > 0:
            np.clip(self.stars / np.float32(self.highest), MIN_SHARE, 1, out=weights)
        weights *= np.where(self.liked, np.float32(1.0), np.float32(watched_weight))
        if recency:
            weights *= np.exp(np.float32(-recency) * (1 - self.freshness))
        likes = np.diff(self.positives.indptr)
        weights[np.repeat(likes == 0, np.diff(self.watched.indptr))] = 0
        counts = (weights > 0) & (self.watched.indices < self.num_trained_movies)
        history = chosen_entries(self.watched, counts, self.num_trained_movies)
        history.data = weights[counts]
        return history


def interactions_of(
    ratings: pd.DataFrame,
    positive_threshold: float,
    catalogue: np.ndarray | None = None,
    described: np.ndarray | None = None,
    workers: Workers = ALONE,
) -> Interactions:
    """ratings: as `Dataset.ratings`, of several workers each with its part.

    catalogue: int64 ids of movies that get a row even if nobody rated them.

    described: int64 ids of movies whose rows come first among those that nobody liked.
    Raises DataError if nobody likes anything.
    """
    users, rated = ratings["user_id"].to_numpy(), ratings["movie_id"].to_numpy()
    liked = ratings["rating"].to_numpy() >= positive_threshold
    user_ids, trained = unique_ids(users), union(workers, unique_ids(rated[liked]))
    if not len(trained):
        raise DataError(
            f"expected some rating of at least {positive_threshold:g}, got none: nobody likes anything, so there is "
            "nothing to learn (see --positive-threshold)"
        )
    everything = union(workers, unique_ids(rated))
    everything = everything if catalogue is None else np.append(everything, catalogue)
    others = np.setdiff1d(everything, trained)
    if described is not None:
        others = others[np.argsort(~np.isin(others, described), kind="stable")]
    movie_ids = np.concatenate([trained, others])
    shape = (len(user_ids), len(movie_ids))
    watched = by_user_and_movie(rows_of(user_ids, users), rows_of(movie_ids, rated), shape)
    in_order, watched.data = watched.data, np.ones(watched.nnz, np.float32)
    liked, stars = liked[in_order], _stars(ratings["rating"], workers)[in_order]
    positives = chosen_entries(watched, liked, len(trained))
    return Interactions(
        user_ids,
        movie_ids,
        watched,
        liked,
        _freshness(watched.indptr, ratings["timestamp"].to_numpy()[in_order]),
        stars,
        positives,
        positive_threshold,
        workers.sum(np.asarray(positives.sum(axis=0)).ravel().astype(np.int64)),
        float(np.concatenate(workers.gather(stars.max(keepdims=True))).max()),
    )


def unique_ids(ids: np.ndarray) -> np.ndarray:
    """Return int64: the ids that occur, ascending.  ids: int[n]."""
    if not _are_dense(ids.min(initial=0), ids.max(initial=0), len(ids)):
        return np.unique(ids).astype(np.int64)
    occurs = np.zeros(ids.max(initial=0) + 1, bool)
    occurs[ids] = True
    return np.flatnonzero(occurs)


def rows_of(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return int[len(wanted)]: the position of each wanted id in `ids` (unique, in any order); −1 where it lacks."""
    highest = max(ids.max(initial=0), wanted.max(initial=0))
    if _are_dense(min(ids.min(initial=0), wanted.min(initial=0)), highest, len(ids) + len(wanted)):
        table = np.full(highest + 1, -1, np.int32)
        table[ids] = np.arange(len(ids))
        found: np.ndarray = table[wanted]
        return found
    order = np.argsort(ids)
    rows = order[np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)]
    return np.where(ids[rows] == wanted, rows, -1)


def indicator(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    """CSR float32 with 1 at the given places, columns ascending within a row."""
    matrix = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    matrix.sort_indices()
    return matrix


def _stars(ratings: pd.Series, workers: Workers) -> np.ndarray:
    """Return float32[n]: the ratings, with the mean of all workers' where a movie was seen but not rated."""
    if workers.count > 1:
        counted = workers.sum(np.array([ratings.sum(), ratings.count()], np.float64))
        return ratings.fillna(counted[0] / max(counted[1], 1)).to_numpy(np.float32)
    return (ratings.fillna(ratings.mean()) if ratings.isna().any() else ratings).to_numpy(np.float32)


def _freshness(indptr: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return what `Interactions.freshness` describes; equal times share the mean of their ranks.

    indptr: int[num_users + 1], where the entries of each user begin.  times: int[n], of each entry.
    """
    freshness = np.empty(len(times), np.float32)
    for block in user_blocks(indptr):
        own = indptr[block.start : block.stop + 1] - indptr[block.start]
        entries = slice(indptr[block.start], indptr[block.stop])
        count = np.diff(own)
        users = np.repeat(np.arange(len(count)), count)
        order = grouped_order(users, times[entries])
        ordered = times[entries][order]
        changes = np.r_[True, ordered[1:] != ordered[:-1]]
        changes[own[:-1]] = True
        starts = np.append(np.flatnonzero(changes), len(order))  # of runs of equal times
        ranks = np.repeat((starts[:-1] + starts[1:] + 1) / 2, np.diff(starts))  # counted from 1 over the block
        freshness[entries][order] = (ranks - own[users]) / count[users]
    return freshness


def chosen_entries(matrix: sparse.csr_matrix, chosen: np.ndarray, num_columns: int) -> sparse.csr_matrix:
    """The chosen entries, all of them in the first columns.  chosen: bool[matrix.nnz]."""
    indptr = np.append(0, np.cumsum(chosen))[matrix.indptr].astype(matrix.indptr.dtype)
    indices = matrix.indices[chosen]
    return sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), (matrix.shape[0], num_columns))


def _are_dense(lowest: int, highest: int, count: int) -> bool:
    """Whether a table with a place for every id up to the highest costs no more than sorting so many ids."""
    return lowest >= 0 and highest < MAX_SPARSITY * count
