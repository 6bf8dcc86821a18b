"""What users lose to an exact ranking on the held-out part when answers come through the index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import sparse

from trainer.evaluation.metrics import discounts, ndcg_by_place, recall_by_place
from trainer.evaluation.task import Task
from trainer.index.annoy_index import SEED
from trainer.index.measuring import LOSS_K, Queries
from trainer.index.queries import MAX_QUERIES, of_newcomers, of_users
from trainer.index.ranking import exact_ranking
from trainer.model.cosine_softmax import Embeddings

LAST_PLACES = 5  # of a list, whose mean gain hardly depends on chance


def calibration_queries(task: Task, embeddings: Embeddings) -> list[Queries]:
    """Return queries of users and of newcomers who have held-out positives, with what their lists lose.

    embeddings: fitted on the training part.
    """
    has_embedding = task.of_users(embeddings.users).any(axis=1)
    scored = np.flatnonzero(has_embedding)  # positions in the task
    if not len(scored):
        return []
    scored = np.random.default_rng(SEED).choice(scored, min(MAX_QUERIES, len(scored)), replace=False)
    users, held_out = task.user_rows[scored], task.held_out[scored]
    kinds = [of_users(embeddings, task.known, users), of_newcomers(embeddings, task.known, users)]
    return [replace(queries, losses=_losses(queries, embeddings.movies, held_out)) for queries in kinds]


def _losses(
    queries: Queries, movies: np.ndarray, held_out: sparse.csr_matrix
) -> Callable[[np.ndarray], tuple[float, float]]:
    """Return the function that `Queries.losses` describes.

    What a list loses by a movie that it misses is computed from how often a movie in each place is a held-out positive,
    in the mean over all users. The held-out positives among the missed movies themselves are so few that one user more
    or less would make a percent.
    """
    exact = exact_ranking(queries.vectors, movies, queries.exclude, LOSS_K)
    recall = _lost_by_place(recall_by_place(exact, held_out).mean(axis=0), np.ones(LOSS_K))
    ndcg = _lost_by_place(ndcg_by_place(exact, held_out).mean(axis=0), discounts(LOSS_K))

    def losses(found: np.ndarray) -> tuple[float, float]:
        is_missed = (exact >= 0) & ~(exact[:, :, None] == found[:, None, :]).any(axis=2)
        missed = is_missed.mean(axis=0)  # float64[LOSS_K], how often the movie in each place is
        return float(missed @ recall), float(missed @ ndcg)

    return losses


def _lost_by_place(gains: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return float64[k]: the share of the sum of gains that is lost if the movie in a place is missed.

    All later movies move up by a place then, and another one, as good as the last ones, gets the last place.

    gains: float64[k], what each place adds to the metric.  weights: float64[k], what a hit in a place counts.
    """
    if not gains.sum():
        return np.zeros(len(gains))
    chances = gains / weights
    of_next = np.append(chances[1:], chances[-LAST_PLACES:].mean())
    lost: np.ndarray = np.maximum(np.cumsum((weights * (chances - of_next))[::-1])[::-1], 0) / gains.sum()
    return lost
