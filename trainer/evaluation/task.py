"""The task of an evaluation: a training part, and what users liked in a test part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from trainer.data.interactions import Interactions, indicator, interactions_of, rows_of
from trainer.data.records import DataError
from trainer.evaluation.metrics import coverage_at_k, hit_rate_at_k, ndcg_at_k, recall_at_k, standard_error
from trainer.index.ranking import popularity_ranking
from trainer.workers.workers import ALONE, Workers, total, union

HIT_RATE_K = 10
MAX_SCORED_USERS = 20_000  # of a release; the standard error of NDCG is then about .0015
SAMPLE_SEED = 0  # of the users who are scored where there are very many


@dataclass(frozen=True)
class Scores:
    """The metrics of one ranking.

    per_user: float64[num_users] by the metric's name.
    coverage: share of the catalogue that is in at least one user's first HIT_RATE_K.
    """

    per_user: dict[str, np.ndarray]
    coverage: float

    @property
    def means(self) -> dict[str, float]:
        """Each metric's mean over users, and the coverage, by name, such as "recall@20" or "coverage@10"."""
        named = {name: float(values.mean()) for name, values in self.per_user.items()}
        return {**named, f"coverage@{HIT_RATE_K}": self.coverage}

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard error of each metric's mean over users (0 if there is one user)."""
        return {name: standard_error(values) for name, values in self.per_user.items()}


@dataclass(frozen=True)
class TaskSummary:
    """What a reader of a task's figures must know of it; the task itself may take gigabytes.

    num_users: how many are scored.  num_eligible: how many have held-out positives.  num_positives: held out of the
    scored users.  num_unknown_positives: how many of these are of movies that the training part lacks, so that no
    ranking can hit them.  num_repeated, is_later: as of `Task`.
    """

    num_users: int
    num_eligible: int
    num_positives: int
    num_unknown_positives: int
    num_repeated: int
    is_later: bool


@dataclass(frozen=True)
class Task:
    """What to learn from, whom to rank for, and what counts as a hit.

    known: the training part.
    user_ids: int64[num_users], the users with held-out positives.
    user_rows: int64[num_users], their rows in `known`, −1 for users that the training part lacks.
    watched: CSR float32[num_users, num_trained_movies], the movies that are not candidates.
    held_out: CSR float32[num_users, n], the held-out positives; n counts the movies of `known` and, after them, those
    that only the test part has.
    num_eligible: how many users have held-out positives; more than num_users if those are a random sample.
    movie_ids: int64[n], of its columns.
    num_repeated: test ratings that were left out because the training part has the same user and movie.
    is_later: whether most users' test ratings are later than their training ratings, as in a running service.
    """

    known: Interactions
    user_ids: np.ndarray
    user_rows: np.ndarray
    watched: sparse.csr_matrix
    held_out: sparse.csr_matrix
    num_eligible: int
    movie_ids: np.ndarray
    num_repeated: int
    is_later: bool

    @property
    def summary(self) -> TaskSummary:
        return TaskSummary(
            num_users=len(self.user_ids),
            num_eligible=self.num_eligible,
            num_positives=int(self.held_out.nnz),
            num_unknown_positives=int((self.held_out.indices >= len(self.known.movie_ids)).sum()),
            num_repeated=self.num_repeated,
            is_later=self.is_later,
        )

    def of_users(self, table: np.ndarray) -> np.ndarray:
        """Return the users' rows of a table that has a row for each user of the training part; zeros for the others."""
        rows: np.ndarray = np.concatenate([table, np.zeros_like(table[:1])])[self.user_rows]
        return rows

    def popularity_ranking(self, k: int) -> np.ndarray:
        """Return int32[num_users, k]: the popularity ranking, for users without known likes."""
        return popularity_ranking(self.known.popularity[: self.known.num_trained_movies], self.watched, k)

    def scores(self, ranked: np.ndarray, k: int) -> Scores:
        """Score a ranking.  ranked: int32[num_users, n], where n is at least k and HIT_RATE_K."""
        first_k, first_few = ranked[:, :k], ranked[:, :HIT_RATE_K]
        per_user = {
            f"recall@{k}": recall_at_k(first_k, self.held_out),
            f"ndcg@{k}": ndcg_at_k(first_k, self.held_out),
            f"hit_rate@{HIT_RATE_K}": hit_rate_at_k(first_few, self.held_out),
        }
        return Scores(per_user, coverage_at_k(first_few, len(self.known.movie_ids)))


def task_of(
    train: pd.DataFrame,
    test: pd.DataFrame,
    positive_threshold: float,
    max_users: int | None = None,
    workers: Workers = ALONE,
) -> Task:
    """Build the task from two parts of ratings.  train, test: as `Dataset.ratings`.

    max_users: if more users have held-out positives, so many are drawn at random; the means over them are unbiased
    estimates of the means over all, and `Scores.standard_errors` says how accurate they are. None: take all.

    workers: each has the parts of its users, and its share of the users that are drawn.

    Raises DataError if either part holds no positive.
    """
    known = interactions_of(train, positive_threshold, workers=workers)
    repeated = _are_known(known, test)
    liked = test[~repeated & (test["rating"] >= positive_threshold)]
    if not total(workers, len(liked)):
        raise DataError(
            f"the test part holds no new rating of at least {positive_threshold:g}: nothing to score against"
        )
    user_ids = np.unique(liked["user_id"].to_numpy()).astype(np.int64)
    num_eligible = total(workers, len(user_ids))
    if max_users is not None and num_eligible > max_users:
        own_share = max_users * len(user_ids) // num_eligible
        user_ids = np.sort(np.random.default_rng(SAMPLE_SEED).choice(user_ids, own_share, replace=False))
        liked = liked[liked["user_id"].isin(user_ids)]
    users = rows_of(user_ids, liked["user_id"].to_numpy())
    movie_ids = np.append(known.movie_ids, union(workers, np.setdiff1d(liked["movie_id"], known.movie_ids)))
    user_rows = rows_of(known.user_ids, user_ids)
    unknown = sparse.csr_matrix((1, known.num_trained_movies), dtype=np.float32)  # for the row −1, of unknown users
    watched = sparse.csr_matrix(sparse.vstack([known.watched_trained[np.maximum(user_rows, 0)], unknown]))
    return Task(
        known=known,
        user_ids=user_ids,
        user_rows=user_rows,
        watched=watched[np.where(user_rows < 0, len(user_ids), np.arange(len(user_ids)))],
        held_out=indicator(users, rows_of(movie_ids, liked["movie_id"].to_numpy()), (len(user_ids), len(movie_ids))),
        num_eligible=num_eligible,
        movie_ids=movie_ids,
        num_repeated=total(workers, int(repeated.sum())),
        is_later=_is_later(train, test, workers),
    )


def _are_known(known: Interactions, ratings: pd.DataFrame) -> np.ndarray:
    """Return bool[n]: whether a rating's user has rated its movie in `known` too."""
    users = rows_of(known.user_ids, ratings["user_id"].to_numpy())
    movies = rows_of(known.movie_ids, ratings["movie_id"].to_numpy())
    are_known = (users >= 0) & (movies >= 0)
    if are_known.any():  # scipy's answer to an empty list of entries is no array
        are_known[are_known] = np.asarray(known.watched[users[are_known], movies[are_known]]).ravel() > 0
    return are_known


def _is_later(train: pd.DataFrame, test: pd.DataFrame, workers: Workers) -> bool:
    """Return whether most users who are in both parts have no test rating before their last training rating."""
    if not total(workers, int(train["timestamp"].any())):  # without times, no rating is later than another
        return False
    last = train.groupby("user_id")["timestamp"].max()
    first = test.groupby("user_id")["timestamp"].min()
    both = first.index.intersection(last.index)
    num_later = total(workers, int((first[both] >= last[both]).sum()))
    return num_later * 2 > total(workers, len(both))
