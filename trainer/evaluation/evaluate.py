"""Fits on a training part, ranks what each user has not rated there, and scores the rankings against a test part."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from trainer.evaluation.task import HIT_RATE_K, Scores, Task
from trainer.index.annoy_index import Calibration, build_index, calibrate_recommend, index_ranking
from trainer.index.ranking import exact_ranking
from trainer.model.cosine_softmax import Embeddings, fit
from trainer.model.hyperparameters import Hyperparameters


@dataclass(frozen=True)
class Report:
    """scores: of "popularity", "exact" (the model, exact search) and "index" (the model through Annoy, as served).
    num_unknown_users: users without a positive in the training part; they get the popular movies.
    seconds: to fit and rank."""

    task: Task
    k: int
    scores: dict[str, Scores]
    num_unknown_users: int
    calibration: Calibration
    embeddings: Embeddings
    seconds: float


def evaluate(
    task: Task,
    settings: Hyperparameters,
    k: int = 20,
    on_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> Report:
    """Where the test part is not later than the training part, all of a user's history counts alike."""
    start = time.perf_counter()
    embeddings = _fit(task, settings, on_epoch)
    users, longest = task.of_users(embeddings.users), max(k, HIT_RATE_K)
    popular = task.popularity_ranking(longest)
    exact = exact_ranking(users, embeddings.movies, task.watched, longest)
    with TemporaryDirectory() as scratch:
        index = build_index(embeddings.movies, Path(scratch) / "movies.ann")
        calibration = calibrate_recommend(index, embeddings, task.known)
        found, _ = index_ranking(index, embeddings.movies, users, task.watched, longest, calibration.chosen.search_k)
    return Report(
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


def settings_for(task: Task, settings: Hyperparameters) -> Hyperparameters:
    """Without recency where the test part is not later than the training part."""
    return settings if task.is_later else replace(settings, recency=0.0)


def exact_scores(task: Task, settings: Hyperparameters, k: int) -> Scores:
    """What `evaluate` calls "exact", without the index."""
    embeddings = _fit(task, settings, lambda epoch, loss: None)
    users, longest = task.of_users(embeddings.users), max(k, HIT_RATE_K)
    exact = exact_ranking(users, embeddings.movies, task.watched, longest)
    return task.scores(_popular_if_unknown(users, exact, task.popularity_ranking(longest)), k)


def _fit(task: Task, settings: Hyperparameters, on_epoch: Callable[[int, float], None]) -> Embeddings:
    return fit(task.known, settings_for(task, settings), on_epoch)


def _popular_if_unknown(users: np.ndarray, ranked: np.ndarray, popular: np.ndarray) -> np.ndarray:
    """int32[num_users, k]: as the service answers users without a taste, whose rows in `users` are zeros."""
    has_taste: np.ndarray = np.any(users, axis=1)
    return np.where(has_taste[:, None], ranked, popular)
