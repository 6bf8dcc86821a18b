"""Fits on a training part, ranks what each user has not rated there, and scores the rankings against a test part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy import sparse

from trainer.hyperparameters import Hyperparameters
from trainer.index import Calibration, build_index, calibrate_recommend, index_ranking
from trainer.interactions import indicator, interactions_of, rows_of
from trainer.metrics import coverage_at_k, hit_rate_at_k, ndcg_at_k, recall_at_k
from trainer.model import fit
from trainer.ranking import exact_ranking, popularity_ranking
from trainer.records import DataError

HIT_RATE_K = 10


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one ranking: "popularity", "exact" (the model, exact search) or "index" (the model through Annoy)."""

    ranking: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Report:
    """num_users: users with held-out positives, over whom the metrics are means.
    num_unknown_users: those among them without a positive in the training part; they get the popular movies.
    num_positives: held-out positives.  num_unknown_positives: those whose movie the training part lacks: never hit.
    num_repeated: test ratings whose pair is in the training part too, left out of the test."""

    evaluations: list[Evaluation]
    num_users: int
    num_unknown_users: int
    num_positives: int
    num_unknown_positives: int
    num_repeated: int
    calibration: Calibration


def evaluate(
    train: pd.DataFrame,
    test: pd.DataFrame,
    positive_threshold: float,
    settings: Hyperparameters,
    k: int = 20,
    on_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> Report:
    """train, test: ratings as in `Dataset.ratings`.  Raises DataError if either part holds no positive."""
    known = interactions_of(train, positive_threshold)
    pairs = pd.MultiIndex.from_frame(train[["user_id", "movie_id"]])
    repeated = pd.MultiIndex.from_frame(test[["user_id", "movie_id"]]).isin(pairs)
    held_out_ratings = test[~repeated & (test["rating"] >= positive_threshold)]
    if held_out_ratings.empty:
        raise DataError(
            f"the test part holds no new rating of at least {positive_threshold:g}: nothing to score against"
        )
    user_ids, held_out = _held_out(held_out_ratings, known.movie_ids)
    user_rows = rows_of(known.user_ids, user_ids)
    num_movies = known.num_trained_movies
    nobody = sparse.csr_matrix((1, num_movies), dtype=np.float32)  # the row −1: has watched nothing
    watched = sparse.csr_matrix(sparse.vstack([known.watched_trained, nobody]))[user_rows]

    embeddings = fit(known.positives, settings, on_epoch)
    users = np.vstack([embeddings.users, np.zeros_like(embeddings.users[:1])])[user_rows]  # float32[num_test_users, d]
    has_taste = users.any(axis=1)
    longest = max(k, HIT_RATE_K)
    popular = popularity_ranking(known.popularity[:num_movies], watched, longest)
    exact = exact_ranking(users, embeddings.movies, watched, longest)
    with TemporaryDirectory() as scratch:
        index = build_index(embeddings.movies, Path(scratch) / "movies.ann")
        calibration = calibrate_recommend(index, embeddings, known)
        found, _ = index_ranking(index, users, watched, longest, calibration.chosen.search_k)
    rankings = {
        "popularity": popular,
        "exact": np.where(has_taste[:, None], exact, popular),  # as the service answers users without a taste
        "index": np.where(has_taste[:, None], found, popular),
    }
    return Report(
        evaluations=[
            Evaluation(name, _metrics(ranked, held_out, len(known.movie_ids), k)) for name, ranked in rankings.items()
        ],
        num_users=len(user_ids),
        num_unknown_users=int((~has_taste).sum()),
        num_positives=int(held_out.nnz),
        num_unknown_positives=int((held_out.indices >= len(known.movie_ids)).sum()),
        num_repeated=int(repeated.sum()),
        calibration=calibration,
    )


def _held_out(ratings: pd.DataFrame, movie_ids: np.ndarray) -> tuple[np.ndarray, sparse.csr_matrix]:
    """(int64[num_test_users], CSR[num_test_users, num_movies + movies that only the test part has])"""
    user_ids, users = np.unique(ratings["user_id"].to_numpy(), return_inverse=True)
    all_ids = np.concatenate([movie_ids, np.setdiff1d(ratings["movie_id"], movie_ids)])
    return user_ids, indicator(users, rows_of(all_ids, ratings["movie_id"].to_numpy()), (len(user_ids), len(all_ids)))


def _metrics(ranked: np.ndarray, held_out: sparse.csr_matrix, num_movies: int, k: int) -> dict[str, float]:
    return {
        f"recall@{k}": recall_at_k(ranked[:, :k], held_out),
        f"ndcg@{k}": ndcg_at_k(ranked[:, :k], held_out),
        f"hit_rate@{HIT_RATE_K}": hit_rate_at_k(ranked[:, :HIT_RATE_K], held_out),
        f"coverage@{HIT_RATE_K}": coverage_at_k(ranked[:, :HIT_RATE_K], num_movies),
    }
