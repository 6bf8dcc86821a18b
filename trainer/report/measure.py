"""What a report measures: it repeats the release's evaluation and compares it with baselines and shorter fits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trainer.data.interactions import interactions_of
from trainer.data.split import split
from trainer.evaluation.comparison import Entry, compare, compare_similar_movies
from trainer.evaluation.evaluate import Evaluation, evaluate, exact_scores
from trainer.evaluation.task import Task, task_of
from trainer.index.ranking import exact_ranking
from trainer.model.fold_in import fold_in, user_temperatures
from trainer.model.progress import Progress, progress_bar
from trainer.report.release import LoadedRelease

K = 20
RECOMMENDED = 10  # movies per user
SHORTER_EPOCHS = (1, 3, 6)


@dataclass(frozen=True)
class Measurements:
    """losses: the mean loss per liked movie after each epoch.  metrics: of the ranking through the index, by name.
    recall_by_epochs: recall@K with exact search, by the epochs of the fit.
    similar_movies: (pm_hit_rate@10, franchise@10) by the source of the vectors."""

    losses: list[float]
    metrics: dict[str, float]
    comparison: list[Entry]
    recall_by_epochs: dict[int, float]
    similar_movies: dict[str, tuple[float, float]]


def measure(release: LoadedRelease) -> Measurements:
    """Repeat the evaluation of the release, and measure what its manifest does not have."""
    train, test = split(release.dataset.ratings)
    task = task_of(train, test, release.positive_threshold)
    losses, evaluation = _evaluate(release, task)
    comparison = []
    for entry in compare([evaluation]):
        print(f"  {entry.name}: recall@{K} {entry.scores.means[f'recall@{K}']:.4f}", flush=True)
        comparison.append(entry)
    return Measurements(
        losses=losses,
        metrics=evaluation.scores["index"].means,
        comparison=comparison,
        recall_by_epochs=_recall_by_epochs(release, task, evaluation),
        similar_movies=compare_similar_movies(evaluation, train, test, release.dataset.movies),
    )


def recommended(release: LoadedRelease) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of users with likes, int64[n], and of the movies recommended to each, int32[n, RECOMMENDED]."""
    movie_ids = release.dataset.movies["movie_id"].to_numpy()
    known = interactions_of(release.dataset.ratings, release.positive_threshold, movie_ids)
    history = known.history(release.hyperparameters.recency, release.hyperparameters.watched_weight)
    users = np.flatnonzero(np.diff(history.indptr))
    temperatures = user_temperatures(release.manifest.hyperparameters.temperature, history)
    folded = fold_in(history[users], release.embeddings, temperatures[users])
    return users, exact_ranking(folded, release.embeddings, known.watched_trained[users], RECOMMENDED)


def _evaluate(release: LoadedRelease, task: Task) -> tuple[list[float], Evaluation]:
    """Repeat the evaluation, and return its losses too."""
    losses: list[float] = []
    with progress_bar("fit on the training part") as advance:

        def on_progress(progress: Progress) -> None:
            if progress.epoch_done is not None and progress.loss is not None:
                losses.append(progress.loss)
            advance(progress)

        return losses, evaluate(task, release.hyperparameters, K, on_progress)


def _recall_by_epochs(release: LoadedRelease, task: Task, evaluation: Evaluation) -> dict[int, float]:
    own_epochs = release.manifest.hyperparameters.epochs
    shorter = {
        epochs: exact_scores(task, replace(release.hyperparameters, epochs=epochs), K)
        for epochs in SHORTER_EPOCHS
        if epochs < own_epochs
    }
    scores = {**shorter, own_epochs: evaluation.scores["exact"]}
    return {epochs: of_epochs.means[f"recall@{K}"] for epochs, of_epochs in scores.items()}
