"""Fits on a training part, ranks what each user has not rated there, and scores the rankings against a test part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from trainer.hyperparameters import Hyperparameters
from trainer.index import Calibration, build_index, calibrate_recommend, index_ranking
from trainer.model import Embeddings, fit
from trainer.ranking import exact_ranking
from trainer.task import HIT_RATE_K, Scores, Task


@dataclass(frozen=True)
class Report:
    """scores: of "popularity", "exact" (the model, exact search) and "index" (the model through Annoy, as served).
    num_unknown_users: users without a positive in the training part; they get the popular movies."""

    task: Task
    k: int
    scores: dict[str, Scores]
    num_unknown_users: int
    calibration: Calibration
    embeddings: Embeddings


def evaluate(
    task: Task,
    settings: Hyperparameters,
    k: int = 20,
    on_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> Report:
    """Where the test part is not later than the training part, all of a user's history counts alike."""
    if not task.is_later:
        settings = replace(settings, recency=0.0)
    embeddings = fit(task.known, settings, on_epoch)
    users = task.of_users(embeddings.users)
    has_taste: np.ndarray = np.any(users, axis=1)
    longest = max(k, HIT_RATE_K)
    popular = task.popularity_ranking(longest)
    exact = exact_ranking(users, embeddings.movies, task.watched, longest)
    with TemporaryDirectory() as scratch:
        index = build_index(embeddings.movies, Path(scratch) / "movies.ann")
        calibration = calibrate_recommend(index, embeddings, task.known)
        found, _ = index_ranking(index, embeddings.movies, users, task.watched, longest, calibration.chosen.search_k)
    rankings = {
        "popularity": popular,
        "exact": np.where(has_taste[:, None], exact, popular),  # as the service answers users without a taste
        "index": np.where(has_taste[:, None], found, popular),
    }
    return Report(
        task=task,
        k=k,
        scores={name: task.scores(ranked, k) for name, ranked in rankings.items()},
        num_unknown_users=int((~has_taste).sum()),
        calibration=calibration,
        embeddings=embeddings,
    )
