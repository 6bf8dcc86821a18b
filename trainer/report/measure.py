"""What a report measures beside the manifest's figures: baselines, a repeated fit, what users are recommended."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from protos.release.v1.layout import LOOK_UP, USER_EMBEDDING
from trainer.data.split import split
from trainer.evaluation.comparison import Entry, compare_baselines, compare_similar_movies
from trainer.evaluation.evaluate import Evaluation, evaluate, exact_scores
from trainer.evaluation.task import MAX_SCORED_USERS, Task, task_of
from trainer.index.ranking import exact_ranking
from trainer.model.cosine_softmax import Embeddings
from trainer.model.progress import Progress, progress_bar
from trainer.model.tensorflow_quietly import tf
from trainer.report.release import LoadedRelease

K = 20
RECOMMENDED = 10  # movies per user
SHORTER_EPOCHS = (1, 3, 6)
BLOCK = 4096  # users asked for at once


@dataclass(frozen=True)
class Measurements:
    """What needs the release's ratings.

    losses: the mean loss per liked movie after each epoch.
    metrics: of the repeated ranking through the index, by name.
    baselines: other ways to rank, on the same split.
    recall_by_epochs: recall@K with exact search, by the epochs of the fit.
    similar_movies: (pm_hit_rate@10, franchise@10) by the source of the vectors.
    """

    losses: list[float]
    metrics: dict[str, float]
    baselines: list[Entry]
    recall_by_epochs: dict[int, float]
    similar_movies: dict[str, tuple[float, float]]


def measure(release: LoadedRelease) -> Measurements:
    """Repeat the release's evaluation, and measure what its manifest does not have.

    The release must have been made of all of its data set's ratings and no others.
    """
    train, test = split(release.dataset.ratings)
    task = task_of(train, test, release.positive_threshold, MAX_SCORED_USERS)
    losses, evaluation, embeddings = _evaluate(release, task)
    baselines = []
    for entry in compare_baselines(task, K):
        print(f"  {entry.name}: recall@{K} {entry.scores.means[f'recall@{K}']:.4f}", flush=True)
        baselines.append(entry)
    return Measurements(
        losses=losses,
        metrics=evaluation.scores["index"].means,
        baselines=baselines,
        recall_by_epochs=_recall_by_epochs(release, task, evaluation),
        similar_movies=compare_similar_movies(task, embeddings, train, test, release.dataset.movies),
    )


def recommended(release: LoadedRelease) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of users with an embedding, int64[n], and of the movies for each, int32[n, RECOMMENDED].

    Users' embeddings are those that the model server answers with: they come from the release's SavedModel.
    """
    users = _user_embeddings(release)
    rows = np.flatnonzero(users.any(axis=1))
    excluded = abs(release.watched).astype(np.int8)
    excluded.data[:] = 1  # also what was watched and not liked
    excluded = (excluded + release.hidden)[:, : len(release.embeddings)]
    return rows, exact_ranking(users[rows], release.embeddings, excluded[rows], RECOMMENDED)


def _user_embeddings(release: LoadedRelease) -> np.ndarray:
    """float32[num_users, embedding_dim]: what the SavedModel answers; zeros for users without likes."""
    look_up = tf.saved_model.load(str(release.model)).signatures[LOOK_UP.name]
    blocks = [release.user_ids[start : start + BLOCK] for start in range(0, len(release.user_ids), BLOCK)]
    return np.concatenate([look_up(**{LOOK_UP.input: tf.constant(ids)})[USER_EMBEDDING].numpy() for ids in blocks])


def _evaluate(release: LoadedRelease, task: Task) -> tuple[list[float], Evaluation, Embeddings]:
    """Repeat the evaluation; return the losses, the figures and what was fitted."""
    losses: list[float] = []
    with progress_bar("fit on the training part") as advance:

        def on_progress(progress: Progress) -> None:
            if progress.epoch_done is not None and progress.loss is not None:
                losses.append(progress.loss)
            advance(progress)

        return losses, *evaluate(task, release.hyperparameters, K, on_progress)


def _recall_by_epochs(release: LoadedRelease, task: Task, evaluation: Evaluation) -> dict[int, float]:
    own_epochs = release.manifest.hyperparameters.epochs
    shorter = {
        epochs: exact_scores(task, replace(release.hyperparameters, epochs=epochs), K)
        for epochs in SHORTER_EPOCHS
        if epochs < own_epochs
    }
    scores = {**shorter, own_epochs: evaluation.scores["exact"]}
    return {epochs: of_epochs.means[f"recall@{K}"] for epochs, of_epochs in scores.items()}
