"""Who rated and who liked what, by rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from trainer.data.records import DataError

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
    """

    user_ids: np.ndarray
    movie_ids: np.ndarray
    watched: sparse.csr_matrix
    liked: np.ndarray
    freshness: np.ndarray
    stars: np.ndarray
    positives: sparse.csr_matrix
    positive_threshold: float

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
        likes = np.asarray(self.positives.sum(axis=0)).ravel().astype(np.int64)
        return np.pad(likes, (0, len(self.movie_ids) - len(likes)))

    def history(self, recency: float, watched_weight: float) -> sparse.csr_matrix:
        """CSR float32[num_users, num_trained_movies]: what tells of a user's taste, and how much it counts.

        1 for a movie they liked, `watched_weight` for one they only watched, times its rating's share of the highest,
        times exp(−recency · share of the user's ratings that are newer). Nothing for users who liked nothing.
        """
        highest = float(self.stars.max())
        share = np.clip(self.stars / highest, MIN_SHARE, 1) if highest > 0 else 1.0
        weights = share * np.where(self.liked, 1.0, watched_weight) * np.exp(-recency * (1 - self.freshness))
        likes = np.diff(self.positives.indptr)
        weights[np.repeat(likes == 0, np.diff(self.watched.indptr))] = 0
        indices, indptr = self.watched.indices, self.watched.indptr
        history = sparse.csr_matrix((weights.astype(np.float32), indices, indptr), shape=self.watched.shape)
        history = history[:, : self.num_trained_movies]
        history.eliminate_zeros()
        return history


def interactions_of(
    ratings: pd.DataFrame,
    positive_threshold: float,
    catalogue: np.ndarray | None = None,
    described: np.ndarray | None = None,
) -> Interactions:
    """catalogue: int64 ids of movies that get a row even if nobody rated them.

    described: int64 ids of movies whose rows come first among those that nobody liked.
    Raises DataError if nobody likes anything.
    """
    user_ids, user_rows = np.unique(ratings["user_id"].to_numpy(), return_inverse=True)
    rated = ratings["movie_id"].to_numpy()
    liked = ratings["rating"].to_numpy() >= positive_threshold
    trained = np.unique(rated[liked])
    if not len(trained):
        raise DataError(
            f"expected some rating of at least {positive_threshold:g}, got none: nobody likes anything, so there is "
            "nothing to learn (see --positive-threshold)"
        )
    others = np.setdiff1d(rated if catalogue is None else np.concatenate([rated, catalogue]), trained)
    if described is not None:
        others = others[np.argsort(~np.isin(others, described), kind="stable")]
    movie_ids = np.concatenate([trained, others])
    movie_rows = rows_of(movie_ids, rated)
    stars = ratings["rating"].fillna(ratings["rating"].mean()).to_numpy(np.float32)
    freshness = ratings.groupby("user_id")["timestamp"].rank(pct=True).to_numpy(np.float32)
    in_order = np.lexsort((movie_rows, user_rows))
    return Interactions(
        user_ids,
        movie_ids,
        indicator(user_rows, movie_rows, (len(user_ids), len(movie_ids))),
        liked[in_order],
        freshness[in_order],
        stars[in_order],
        indicator(user_rows[liked], movie_rows[liked], (len(user_ids), len(trained))),
        positive_threshold,
    )


def rows_of(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """int64[len(wanted)]: the position of each wanted id in `ids` (unique, any order), −1 where it is not there."""
    order = np.argsort(ids)
    rows = order[np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)]
    return np.where(ids[rows] == wanted, rows, -1)


def indicator(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    """CSR float32 with 1 at the given places, columns ascending within a row."""
    matrix = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    matrix.sort_indices()
    return matrix
