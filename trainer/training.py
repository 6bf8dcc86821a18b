"""The main job: evaluate the hyperparameters on a split, fit them on all ratings, publish the release."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from object_storage.bucket import Bucket
from protos.release.v1 import manifest_pb2
from trainer.data.dataset import Dataset
from trainer.data.interactions import Interactions, interactions_of, rows_of
from trainer.data.split import split
from trainer.evaluation.evaluate import Evaluation, fit_to, hyperparameters_for, scored
from trainer.evaluation.gathering import interactions_to_chief, task_to_chief
from trainer.evaluation.task import MAX_SCORED_USERS, task_of
from trainer.model.content_embeddings import content_features, expected_embeddings, with_content
from trainer.model.cosine_softmax import Embeddings, fit
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.progress import progress_bar
from trainer.release.catalogue import PublishedRelease, published_releases, releases_folder, remove_folder
from trainer.release.errors import GateError
from trainer.release.fitted import Fitted
from trainer.release.gate import changed_ids, failures
from trainer.release.keys import with_lasting_ids
from trainer.release.publish import publish
from trainer.stages import stage
from trainer.workers.workers import ALONE, Workers

K = 20  # length of the scored lists
CHECKPOINTS = "checkpoints"  # the folder beside the releases in which a run that is killed leaves its state

log = logging.getLogger(__name__)


def train(
    dataset: Dataset,
    positive_threshold: float,
    hyperparameters: Hyperparameters,
    artifacts: Path,
    force: bool = False,
    on_evaluated: Callable[[Evaluation], None] = lambda evaluation: None,
    cheapest: bool = False,
    signing_key: bytes | None = None,
    liked_only: bool = False,
    bucket: Bucket | None = None,
    canary_share: float | None = None,
    workers: Workers = ALONE,
) -> Path:
    """Evaluate, fit and publish; return the published release's folder.

    force: publish even if the figures are too bad; the release's manifest then says why it should not be there.
    on_evaluated: called with the evaluation before the gate judges it.
    cheapest: as for `calibrate`.
    liked_only: never recommend a movie that nobody liked; if false, that is done where it was measured to help.
    bucket: where the release is published too, if there is one. Raises ObjectStorageError if it cannot be reached.
    signing_key, canary_share: as of `publish`.
    workers: each has the ratings of its users. The chief evaluates, judges and publishes what all have fitted. If it
    raises an error, the others raise ChiefFailed.
    Raises DataError if the ratings hold too little to learn from, and GateError if the figures are too bad.
    """
    problems = workers.on_chief(lambda: _unless_forced(changed_ids(dataset, artifacts), force)) or []
    dataset, user_keys, movie_keys = with_lasting_ids(dataset, artifacts, bucket, workers)
    checkpoints, content = artifacts / CHECKPOINTS, None if liked_only else dataset.movies
    evaluation, hyperparameters = _evaluate(
        dataset, positive_threshold, hyperparameters, checkpoints, cheapest, content, workers
    )
    if evaluation is not None:
        on_evaluated(evaluation)
    judged = workers.on_chief(lambda: _judged(problems, evaluation, artifacts, dataset, force)) or []
    helps = workers.from_chief(np.array([_unliked_help(evaluation)]))[0]
    known, embeddings = _fit(dataset, positive_threshold, hyperparameters, checkpoints, helps, workers)
    fitted = Fitted(dataset, known, embeddings, hyperparameters, evaluation, judged, user_keys, movie_keys, cheapest)
    release = workers.on_chief(lambda: publish(fitted, artifacts, signing_key, bucket, canary_share))
    version = int(workers.from_chief(np.array([int(release.name) if release is not None else 0]))[0])
    workers.on_chief(lambda: remove_folder(checkpoints))
    remove_folder(checkpoints)  # elsewhere, where workers do not share it
    log.info("published release %d: %s", version, release or "by the chief")
    return releases_folder(artifacts) / str(version)


def _evaluate(
    dataset: Dataset,
    positive_threshold: float,
    hyperparameters: Hyperparameters,
    checkpoints: Path,
    cheapest: bool,
    content: pd.DataFrame | None,
    workers: Workers,
) -> tuple[Evaluation | None, Hyperparameters]:
    """Return the evaluation on a split, None but on the chief, and the hyperparameters with what the split decides.

    At most MAX_SCORED_USERS users are scored. The split and what is fitted to it may take gigabytes, which are free
    again afterwards.
    """
    with stage("splitting"):
        task = task_of(*split(dataset.ratings), positive_threshold, MAX_SCORED_USERS, workers)
    hyperparameters = hyperparameters_for(task, hyperparameters)
    with stage("fitting and scoring on the split"), progress_bar("fit on the training part") as on_progress:
        start = time.perf_counter()
        own = fit_to(task, hyperparameters, on_progress, checkpoints, workers)
        of_all = task_to_chief(task, own, workers)
        evaluation = workers.on_chief(
            lambda: scored(*of_all, hyperparameters, K, on_progress, cheapest, content, start)
        )
    return evaluation, replace(hyperparameters, temperature=own.temperature)


def _unliked_help(evaluation: Evaluation | None) -> bool:
    """Whether movies that nobody liked were measured to be good recommendations."""
    return evaluation is not None and evaluation.cold_start is not None and evaluation.cold_start.helps


def _judged(
    problems: list[str], evaluation: Evaluation | None, artifacts: Path, dataset: Dataset, force: bool
) -> list[str]:
    """Return all reasons not to publish. Raises GateError if there are any, unless forced."""
    assert evaluation is not None  # on the chief
    problems = _unless_forced(problems + _failures(evaluation, artifacts, dataset), force)
    for problem in problems:
        log.warning("publishing all the same: %s", problem)
    return problems


@stage("fitting on all ratings")
def _fit(
    dataset: Dataset,
    positive_threshold: float,
    hyperparameters: Hyperparameters,
    checkpoints: Path,
    admits_unliked: bool,
    workers: Workers,
) -> tuple[Interactions, Embeddings]:
    """Fit on all ratings. What is returned has all users on the chief only.

    admits_unliked: whether movies that nobody liked get an embedding too, those of which something is known; their rows
    come after the trained ones.
    """
    listed = dataset.movies["movie_id"].to_numpy()
    features = content_features(dataset.movies) if admits_unliked else np.zeros((len(listed), 0))
    is_described: np.ndarray = np.any(features, axis=1)
    known = interactions_of(dataset.ratings, positive_threshold, listed, listed[is_described], workers)
    with progress_bar("fit on all ratings") as on_progress:
        embeddings = fit(known, hyperparameters, on_progress, checkpoints, workers=workers)
    known, embeddings = interactions_to_chief(known, embeddings, workers)
    rows = rows_of(listed, known.movie_ids)
    end = known.num_trained_movies + int(is_described[rows[known.num_trained_movies :]].sum())
    if end == known.num_trained_movies:
        return known, embeddings
    num_ratings = np.asarray(known.watched.sum(axis=0)).ravel()[known.num_trained_movies : end]
    return known, with_content(embeddings, expected_embeddings(features[rows[:end]], embeddings.movies, num_ratings))


def _unless_forced(problems: list[str], force: bool) -> list[str]:
    """Return the problems. Raises GateError if there are any, unless forced."""
    if problems and not force:
        raise GateError(f"not published: {'; '.join(problems)} (--force publishes all the same)")
    return problems


def _failures(evaluation: Evaluation, artifacts: Path, dataset: Dataset) -> list[str]:
    """Return the reasons not to publish that lie in the figures."""
    previous = _last_that_passed(artifacts, dataset)
    return failures(evaluation, previous, previous is None or _has_same_events(previous, dataset))


def _last_that_passed(artifacts: Path, dataset: Dataset) -> PublishedRelease | None:
    """Return the newest release that was not forced; None if there is none, or if it has the ratings of other files."""
    for release in reversed(published_releases(artifacts)):
        if release.manifest is not None and not release.manifest.forced_despite:
            return release if release.manifest.dataset.fingerprint == dataset.fingerprint else None
    return None


def _has_same_events(release: PublishedRelease, dataset: Dataset) -> bool:
    held = release.manifest.events if release.manifest is not None else manifest_pb2.Events()
    events = dataset.events
    merged = (events.store_id, events.last_event, events.num_events) if events is not None else ("", 0, 0)
    return (held.store_id, held.last_event, held.num_events) == merged
