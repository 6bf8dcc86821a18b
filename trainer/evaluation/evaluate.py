"""Fits on a training part, ranks what each user has not rated there, and scores the rankings against a test part."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from protos.release.v1 import layout
from trainer.evaluation.cold_start import ColdStart, measure_cold_start
from trainer.evaluation.index_loss import calibration_queries
from trainer.evaluation.task import HIT_RATE_K, Scores, Task, TaskSummary
from trainer.index.annoy_index import ranking
from trainer.index.calibration import Calibration, calibrate
from trainer.index.ranking import BLOCK, exact_ranking, scored_ranking
from trainer.model.cosine_softmax import ALL, Embeddings, fit
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.progress import OnProgress, Progress
from trainer.workers.workers import ALONE, Workers


@dataclass(frozen=True)
class Evaluation:
    """What one fit reaches on a task.

    temperature: the typical user's during training.
    scores: by ranking: "popularity", "exact" (the model, exact search), "index" (the model through Annoy, as served).
    num_unknown_users: users without a positive in the training part; they get the popularity ranking.
    calibrations: of the index over the movies that were fitted on the training part, for users and for newcomers; empty
        if no user with held-out positives has an embedding.
    cold_start: how good recommendations of movies that nobody liked are; None if it was not measured.
    seconds: how long fitting and ranking took.
    """

    task: TaskSummary
    k: int
    temperature: float
    scores: dict[str, Scores]
    num_unknown_users: int
    calibrations: list[Calibration]
    cold_start: ColdStart | None
    seconds: float


def evaluate(
    task: Task,
    hyperparameters: Hyperparameters,
    k: int = 20,
    on_progress: OnProgress = lambda progress: None,
    cheapest: bool = False,
    checkpoints: Path | None = None,
    movies: pd.DataFrame | None = None,
) -> tuple[Evaluation, Embeddings]:
    """Fit on the task's training part, score the rankings of length k, and return what was fitted too.

    on_progress, checkpoints: as for `fit`.  cheapest: as for `calibrate`.
    movies: as in `Dataset.movies`; None: recommendations of movies that nobody liked are not measured.
    """
    started = time.perf_counter()
    embeddings = fit_to(task, hyperparameters, on_progress, checkpoints)
    return scored(task, embeddings, hyperparameters, k, on_progress, cheapest, movies, started), embeddings


def fit_to(
    task: Task,
    hyperparameters: Hyperparameters,
    on_progress: OnProgress = lambda progress: None,
    checkpoints: Path | None = None,
    workers: Workers = ALONE,
) -> Embeddings:
    """Fit on the task's training part, for its users.  on_progress, checkpoints, workers: as for `fit`."""
    folded = ALL if len(task.user_ids) == task.num_eligible else task.user_rows[task.user_rows >= 0]
    return fit(task.known, hyperparameters_for(task, hyperparameters), on_progress, checkpoints, folded, workers)


def scored(
    task: Task,
    embeddings: Embeddings,
    hyperparameters: Hyperparameters,
    k: int,
    on_progress: OnProgress,
    cheapest: bool,
    movies: pd.DataFrame | None,
    started: float,
) -> Evaluation:
    """Score the rankings of what was fitted on the task's training part.

    started: when the fit was started, by time.perf_counter.  The other parameters are as for `evaluate`.
    """
    hyperparameters = hyperparameters_for(task, hyperparameters)
    users, longest = task.of_users(embeddings.users), max(k, HIT_RATE_K)
    popular = task.popularity_ranking(longest)

    def scores(rows: slice) -> np.ndarray:
        on_progress(Progress("scoring users exactly", rows.stop, len(users)))
        block: np.ndarray = users[rows] @ embeddings.movies.T
        return block

    exact = scored_ranking(scores, task.watched, longest)
    calibrations, found = _through_index(task, embeddings, users, longest, cheapest, on_progress)
    return Evaluation(
        task=task.summary,
        k=k,
        temperature=embeddings.temperature,
        scores={
            "popularity": task.scores(popular, k),
            "exact": task.scores(_popular_if_unknown(users, exact, popular), k),
            "index": task.scores(_popular_if_unknown(users, found, popular), k),
        },
        num_unknown_users=int((~users.any(axis=1)).sum()),
        calibrations=calibrations,
        cold_start=measure_cold_start(task, embeddings, hyperparameters, movies) if movies is not None else None,
        seconds=time.perf_counter() - started,
    )


def _through_index(
    task: Task, embeddings: Embeddings, users: np.ndarray, k: int, cheapest: bool, on_progress: OnProgress
) -> tuple[list[Calibration], np.ndarray]:
    """Calibrate an index, and return the calibrations and int32[num_users, k]: what it answers these users.

    users: float32[num_users, d], zeros for users without an embedding.
    """
    with TemporaryDirectory() as scratch:
        kinds = calibration_queries(task, embeddings)
        if not kinds:
            return [], np.full((len(users), k), -1, np.int32)
        movies, calibrations = calibrate(embeddings.movies, Path(scratch) / layout.EMBEDDINGS_INDEX, kinds, cheapest)
        effort = calibrations[0].effort
        found = np.empty((len(users), k), np.int32)
        for start in range(0, len(users), BLOCK):
            rows = slice(start, min(start + BLOCK, len(users)))
            found[rows], _ = ranking(movies, effort, users[rows], task.watched[rows], k)
            on_progress(Progress("scoring users through the index", rows.stop, len(users)))
    return calibrations, found


def hyperparameters_for(task: Task, hyperparameters: Hyperparameters) -> Hyperparameters:
    """Return the hyperparameters for this task: without recency if its test part is not later than its training part.

    If the parts were split at random, a user's latest training ratings say no more about the test part than the others.
    """
    return hyperparameters if task.is_later else replace(hyperparameters, recency=0.0)


def exact_scores(task: Task, hyperparameters: Hyperparameters, k: int) -> Scores:
    """Return the scores that `evaluate` calls "exact", without building an index."""
    embeddings = fit(task.known, hyperparameters_for(task, hyperparameters))
    users, longest = task.of_users(embeddings.users), max(k, HIT_RATE_K)
    exact = exact_ranking(users, embeddings.movies, task.watched, longest)
    return task.scores(_popular_if_unknown(users, exact, task.popularity_ranking(longest)), k)


def _popular_if_unknown(users: np.ndarray, ranked: np.ndarray, popular: np.ndarray) -> np.ndarray:
    """Return int32[num_users, k]: `ranked`, but `popular` for users whose embedding is zero, as the service answers."""
    has_embedding: np.ndarray = np.any(users, axis=1)
    return np.where(has_embedding[:, None], ranked, popular)
