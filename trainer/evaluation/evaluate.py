"""Fits on a training part, ranks what each user has not rated there, and scores the rankings against a test part."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from trainer.evaluation.task import HIT_RATE_K, Scores, Task
from trainer.index.annoy_index import build_index, index_ranking
from trainer.index.calibration import Calibration, calibrate_recommend
from trainer.index.ranking import exact_ranking
from trainer.model.cosine_softmax import Embeddings, fit
from trainer.model.hyperparameters import Hyperparameters


@dataclass(frozen=True)
class Evaluation:
    """What one fit reaches on a task.

    scores: by ranking: "popularity", "exact" (the model, exact search), "index" (the model through Annoy, as served).
    num_unknown_users: users without a positive in the training part; they get the popularity ranking.
    calibration: of the index over the movies that were fitted on the training part.
    seconds: how long fitting and ranking took.
    """

    task: Task
    k: int
    scores: dict[str, Scores]
    num_unknown_users: int
    calibration: Calibration
    embeddings: Embeddings
    seconds: float


def evaluate(
    task: Task,
    hyperparameters: Hyperparameters,
    k: int = 20,
    on_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> Evaluation:
    """Fit on the task's training part and score the rankings of length k.  on_epoch: as for `fit`."""
    start = time.perf_counter()
    embeddings = _fit(task, hyperparameters, on_epoch)
    users, longest = task.of_users(embeddings.users), max(k, HIT_RATE_K)
    popular = task.popularity_ranking(longest)
    exact = exact_ranking(users, embeddings.movies, task.watched, longest)
    with TemporaryDirectory() as scratch:
        index = build_index(embeddings.movies, Path(scratch) / "movies.ann")
        calibration = calibrate_recommend(index, embeddings, task.known)
        found, _ = index_ranking(index, embeddings.movies, users, task.watched, longest, calibration.chosen.search_k)
    return Evaluation(
        task=task,
        k=k,
        scores={
            "popularity": task.scores(popular, k),
            "exact": task.scores(_popular_if_unknown(users, exact, popular), k),
            "index": task.scores(_popular_if_unknown(users, found, popular), k),
        },
        num_unknown_users=int((~users.any(axis=1)).sum()),
        calibration=calibration,
        embeddings=embeddings,
        seconds=time.perf_counter() - start,
    )


def hyperparameters_for(task: Task, hyperparameters: Hyperparameters) -> Hyperparameters:
    """Return the hyperparameters for this task: without recency if its test part is not later than its training part.

    If the parts were split at random, a user's latest training ratings say no more about the test part than the others.
    """
    return hyperparameters if task.is_later else replace(hyperparameters, recency=0.0)


def exact_scores(task: Task, hyperparameters: Hyperparameters, k: int) -> Scores:
    """Return the scores that `evaluate` calls "exact", without building an index."""
    embeddings = _fit(task, hyperparameters, lambda epoch, loss: None)
    users, longest = task.of_users(embeddings.users), max(k, HIT_RATE_K)
    exact = exact_ranking(users, embeddings.movies, task.watched, longest)
    return task.scores(_popular_if_unknown(users, exact, task.popularity_ranking(longest)), k)


def _fit(task: Task, hyperparameters: Hyperparameters, on_epoch: Callable[[int, float], None]) -> Embeddings:
    return fit(task.known, hyperparameters_for(task, hyperparameters), on_epoch)


def _popular_if_unknown(users: np.ndarray, ranked: np.ndarray, popular: np.ndarray) -> np.ndarray:
    """Return int32[num_users, k]: `ranked`, but `popular` for users whose embedding is zero, as the service answers."""
    has_embedding: np.ndarray = np.any(users, axis=1)
    return np.where(has_embedding[:, None], ranked, popular)
