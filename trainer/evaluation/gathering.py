"""Brings what several workers have of their users to the chief, who evaluates and publishes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from trainer.data.interactions import Interactions, chosen_entries
from trainer.evaluation.task import Task
from trainer.model.cosine_softmax import Embeddings
from trainer.workers.matrices import matrix_to_chief
from trainer.workers.workers import Workers


def interactions_to_chief(
    known: Interactions, embeddings: Embeddings, workers: Workers
) -> tuple[Interactions, Embeddings]:
    """Return the interactions and the embeddings of all workers' users, by ascending id, on the chief.

    Elsewhere they have no users.
    """
    if workers.count == 1:
        return known, embeddings
    users = workers.to_chief(embeddings.users)
    user_ids = workers.to_chief(known.user_ids)
    entries = (known.liked.astype(np.float32), known.freshness, known.stars)
    order = np.argsort(user_ids)
    watched, liked, freshness, stars = _in_order(known.watched, entries, order, workers)
    is_liked = liked > 0
    positives = chosen_entries(watched, is_liked, known.num_trained_movies)
    gathered = replace(
        known,
        user_ids=user_ids[order],
        watched=watched,
        liked=is_liked,
        freshness=freshness,
        stars=stars,
        positives=positives,
    )
    return gathered, replace(embeddings, users=users[order])


def task_to_chief(task: Task, embeddings: Embeddings, workers: Workers) -> tuple[Task, Embeddings]:
    """Return the task of all workers' scored users, by ascending id, and these users' embeddings, on the chief.

    What is known is that of the scored users alone, but for the likes of each movie. Elsewhere there are no users.
    """
    if workers.count == 1:
        return task, embeddings
    is_known = task.user_rows >= 0
    rows = task.user_rows[is_known]
    own = replace(embeddings, users=embeddings.users[rows])
    known, gathered = interactions_to_chief(_of_users(task.known, rows), own, workers)
    user_ids = workers.to_chief(task.user_ids)
    order = np.argsort(user_ids)
    held_out = matrix_to_chief(workers, task.held_out)[order]
    places = np.searchsorted(known.user_ids, user_ids[order])
    places = np.minimum(places, max(len(known.user_ids) - 1, 0))
    found = known.user_ids[places] == user_ids[order] if len(known.user_ids) else np.zeros(len(user_ids), bool)
    user_rows = np.where(found, places, -1)
    none = sparse.csr_matrix((1, known.num_trained_movies), dtype=np.float32)  # for the row −1
    watched = sparse.csr_matrix(sparse.vstack([known.watched_trained, none]))[user_rows]
    return (
        replace(task, known=known, user_ids=user_ids[order], user_rows=user_rows, watched=watched, held_out=held_out),
        gathered,
    )


def _of_users(known: Interactions, rows: np.ndarray) -> Interactions:
    """Return the interactions of some users.  rows: int[n], ascending."""
    is_kept = np.zeros(len(known.user_ids), bool)
    is_kept[rows] = True
    kept = np.repeat(is_kept, np.diff(known.watched.indptr))
    return replace(
        known,
        user_ids=known.user_ids[rows],
        watched=known.watched[rows],
        liked=known.liked[kept],
        freshness=known.freshness[kept],
        stars=known.stars[kept],
        positives=known.positives[rows],
    )


def _in_order(
    watched: sparse.csr_matrix, entries: tuple[np.ndarray, ...], order: np.ndarray, workers: Workers
) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray, np.ndarray]:
    """Return all workers' rows in this order, on the chief, and what belongs to their entries.

    entries: float32[watched.nnz] each.  order: int[num_users], of the users of all workers by rank.
    """
    gathered = matrix_to_chief(workers, watched)
    positions = sparse.csr_matrix(
        (np.arange(gathered.nnz, dtype=np.int64), gathered.indices, gathered.indptr), gathered.shape
    )[order]
    gathered = sparse.csr_matrix((gathered.data[positions.data], positions.indices, positions.indptr), positions.shape)
    liked, freshness, stars = (workers.to_chief(values)[positions.data] for values in entries)
    return gathered, liked, freshness, stars
