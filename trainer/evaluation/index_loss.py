"""What users lose to an exact ranking on the held-out part when answers come through the index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import sparse

from trainer.evaluation.metrics import ndcg_at_k, recall_at_k, standard_error
from trainer.evaluation.task import Task
from trainer.index.annoy_index import SEED
from trainer.index.measuring import LOSS_K, Loss, Queries
from trainer.index.queries import MAX_QUERIES, of_newcomers, of_users
from trainer.index.ranking import exact_ranking
from trainer.model.cosine_softmax import Embeddings


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
) -> Callable[[np.ndarray], tuple[Loss, Loss]]:
    """Return the function that `Queries.losses` describes."""
    exact = exact_ranking(queries.vectors, movies, queries.exclude, LOSS_K)
    of_exact = [metric(exact, held_out) for metric in (recall_at_k, ndcg_at_k)]  # float64[num_queries] each

    def losses(found: np.ndarray) -> tuple[Loss, Loss]:
        of_found = (metric(found, held_out) for metric in (recall_at_k, ndcg_at_k))
        recall, ndcg = (_loss(theirs, best) for theirs, best in zip(of_found, of_exact, strict=True))
        return recall, ndcg

    return losses


def _loss(found: np.ndarray, exact: np.ndarray) -> Loss:
    """found, exact: float64[num_queries], a metric of the lists that were found, and of exact ones."""
    best = float(exact.mean())
    return Loss(float((exact - found).mean()) / best, standard_error(exact - found) / best) if best > 0 else Loss()
