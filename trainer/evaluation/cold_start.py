"""How good recommendations of movies that nobody liked are, when their embeddings come from their content.

Whole movies are held out: a fifth of the trained ones, as if nobody had liked them. Users are folded in without them,
and rank them by the embeddings that their content predicts. The recall of these lists is compared with that of a list
by the popularity of genres, which is the same for all users.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from protos.release.v1.layout import GENRE_SEPARATOR
from trainer.data.interactions import Interactions, rows_of
from trainer.evaluation.metrics import ndcg_at_k, recall_at_k, standard_error
from trainer.evaluation.task import Task
from trainer.index.ranking import exact_ranking, popularity_ranking
from trainer.model.content_embeddings import content_features, expected_embeddings, predicted_embeddings, with_content
from trainer.model.cosine_softmax import Embeddings
from trainer.model.fold_in import fold_in, user_temperatures
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.partition import Partition
from trainer.model.vectors import unit_rows
from trainer.model.watching_order import RECENCY, WATCHED_WEIGHT

HELD_OUT_SHARE, MAX_HELD_OUT = 0.2, 2_000
MAX_USERS = 500  # so that it takes seconds with large data
MIN_USERS = 20  # fewer tell too little
K, MOVIES_PER_PLACE = 20, 20  # lists are shorter where few movies are held out
MIN_TIMES_BETTER = 3.0  # than the popularity of genres
MAX_NDCG_LOST = 0.005  # a share, beyond two standard errors: few users differ more by chance
SEED = 0


@dataclass(frozen=True)
class ColdStart:
    """What was measured.

    recall, genre_recall: mean recall@k among the held-out movies, by content and by the popularity of genres.
    ndcg_lost: share of ndcg@K that users' lists lose on the test part when movies that nobody liked compete in them;
    below 0 if they gain.  ndcg_lost_error: its standard error.
    share_of_top_10: how many of the first ten places these movies take.
    """

    k: int
    num_movies: int
    num_users: int
    recall: float
    genre_recall: float
    ndcg_lost: float
    ndcg_lost_error: float
    share_of_top_10: float

    @property
    def helps(self) -> bool:
        """Whether movies that nobody liked may be recommended."""
        certainly_lost = self.ndcg_lost - 2 * self.ndcg_lost_error
        return self.recall >= MIN_TIMES_BETTER * self.genre_recall and certainly_lost <= MAX_NDCG_LOST


def measure_cold_start(
    task: Task, embeddings: Embeddings, hyperparameters: Hyperparameters, movies: pd.DataFrame
) -> ColdStart | None:
    """Measure it on a fit on the task's training part; None if there are too few movies or users.

    movies: all movies, as in `Dataset.movies`.
    """
    known = task.known
    num_trained = known.num_trained_movies
    rng = np.random.default_rng(SEED)
    held_out = np.sort(rng.permutation(num_trained)[: min(int(HELD_OUT_SHARE * num_trained), MAX_HELD_OUT)])
    likes = known.positives[:, held_out]  # CSR[num_users, num_held_out]
    others = np.setdiff1d(np.arange(num_trained), held_out)
    histories = known.history(hyperparameters.recency, hyperparameters.watched_weight)[:, others]
    users = np.flatnonzero((np.diff(likes.indptr) > 0) & (np.diff(histories.indptr) > 0))
    if len(users) < MIN_USERS:
        return None
    users = rng.choice(users, min(MAX_USERS, len(users)), replace=False)
    order = rng.permutation(len(held_out))  # of movies that are equally good; by id, the oldest would come first
    held_out, likes, histories = held_out[order], likes[users][:, order], histories[users]
    listed = movies["movie_id"].to_numpy()
    movie_ids = np.concatenate([task.movie_ids, np.setdiff1d(listed, task.movie_ids)])
    table = movies.iloc[rows_of(listed, movie_ids)]
    features = content_features(table)
    predicted = predicted_embeddings(features[others], embeddings.movies[others], features[held_out])
    recent = known.history(RECENCY, WATCHED_WEIGHT)[users][:, others]
    folded = _fold_in(histories, recent, embeddings, others, known)
    k = min(K, max(len(held_out) // MOVIES_PER_PLACE, 1))
    none = sparse.csr_matrix(likes.shape, dtype=np.float32)
    by_content = exact_ranking(folded, predicted, none, k)
    by_genre = popularity_ranking(
        _genre_popularity(table["genres"].iloc[:num_trained], known, others)[held_out], none, k
    )
    recall, genre_recall = (float(recall_at_k(ranked, likes).mean()) for ranked in (by_content, by_genre))
    in_lists = _in_lists(task, embeddings, features)
    return ColdStart(k, len(held_out), len(users), recall, genre_recall, *in_lists)


def _fold_in(
    histories: sparse.csr_matrix,
    recent: sparse.csr_matrix,
    embeddings: Embeddings,
    rows: np.ndarray,
    known: Interactions,
) -> np.ndarray:
    """Return float32[num_users, d].

    histories, recent: CSR[num_users, len(rows)], how much movies count for tastes, and as those watched last.
    rows: of the movies that are not held out.
    """
    parts = embeddings.parts
    temperatures = user_temperatures(embeddings.temperature, histories)
    partition = Partition(known.popularity[rows])
    tastes = fold_in(sparse.csr_matrix(histories), parts.tastes[rows], temperatures, None, partition)
    order = unit_rows(recent @ parts.order[rows])
    return parts.users(tastes, order, parts.popularity_component * temperatures / embeddings.temperature)


def _genre_popularity(genres: pd.Series, known: Interactions, rows: np.ndarray) -> np.ndarray:
    """Return float64[num_trained_movies]: the mean over a movie's genres of the mean likes of movies of the genre.

    genres: of the trained movies, joined by "|".  rows: of the movies whose likes are known.
    """
    # As objects: on Arrow's strings pandas gives a movie without genres the first genre of all.
    has = genres.astype(object).str.get_dummies(GENRE_SEPARATOR).to_numpy(np.float64)
    likes = known.popularity[rows]
    mean_likes = (likes @ has[rows]) / np.maximum(has[rows].sum(axis=0), 1)
    popularity: np.ndarray = (has @ mean_likes) / np.maximum(has.sum(axis=1), 1)
    return popularity


def _in_lists(task: Task, embeddings: Embeddings, features: np.ndarray) -> tuple[float, float, float]:
    """Return (ndcg_lost, ndcg_lost_error, share_of_top_10) as in `ColdStart`.

    features: float64[num_movies, num_features], of the task's movies, followed by those that it lacks.
    """
    known, rng = task.known, np.random.default_rng(SEED)
    users = np.flatnonzero(task.of_users(embeddings.users).any(axis=1))
    users = rng.choice(users, min(MAX_USERS, len(users)), replace=False)
    num_trained = known.num_trained_movies
    ratings = np.asarray(known.watched.sum(axis=0)).ravel()[num_trained:]
    num_ratings = np.pad(ratings, (0, len(features) - num_trained - len(ratings)))
    is_described: np.ndarray = np.any(features[num_trained:], axis=1)
    expected = expected_embeddings(features, embeddings.movies, num_ratings) * is_described[:, None]
    both = with_content(embeddings, expected)
    held_out = _widened(task.held_out[users], len(features))
    watched = sparse.csr_matrix(known.watched[task.user_rows[users]])
    queries = both.users[task.user_rows[users]]
    without = exact_ranking(queries, both.movies[:num_trained], task.watched[users], K)
    ranked = exact_ranking(queries, both.movies, _widened(watched, len(features)), K)
    before, after = (ndcg_at_k(lists, held_out) for lists in (without, ranked))
    lost = (before - after) / max(float(before.mean()), np.finfo(np.float32).tiny)  # float64[num_users]
    return float(lost.mean()), standard_error(lost), float((ranked[:, :10] >= num_trained).mean())


def _widened(matrix: sparse.csr_matrix, num_columns: int) -> sparse.csr_matrix:
    """Return the matrix with columns of zeros added up to that number."""
    return sparse.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], num_columns))
