"""The main job: evaluate the settings on a split, fit them on everything, publish the release."""

from __future__ import annotations

import logging
from pathlib import Path

from trainer.cli.console import epochs_bar, print_report
from trainer.data.dataset import Dataset
from trainer.data.interactions import interactions_of
from trainer.data.split import split
from trainer.evaluation.evaluate import evaluate, settings_for
from trainer.evaluation.task import task_of
from trainer.model.cosine_softmax import fit
from trainer.model.hyperparameters import Hyperparameters
from trainer.release.catalogue import Published, published_releases
from trainer.release.gate import GateError, failures
from trainer.release.publish import Fitted, publish

log = logging.getLogger(__name__)


def train(
    dataset: Dataset, positive_threshold: float, settings: Hyperparameters, artifacts: Path, force: bool = False
) -> Path:
    """Returns the published release's folder.  Raises DataError if the ratings hold too little to learn from, and
    GateError if the figures are too bad, unless forced: then the release's manifest says so."""
    task = task_of(*split(dataset.ratings), positive_threshold)
    settings = settings_for(task, settings)  # without times nothing is newer than the rest
    with epochs_bar("fit on each user's first 80 %", settings.epochs) as on_epoch:
        report = evaluate(task, settings, on_epoch=on_epoch)
    print_report(report)
    problems = failures(report, _last_that_passed(artifacts, dataset))
    if problems and not force:
        raise GateError(f"not published: {'; '.join(problems)} (--force publishes all the same)")
    for problem in problems:
        log.warning("publishing all the same: %s", problem)
    known = interactions_of(dataset.ratings, positive_threshold, dataset.movies["movie_id"].to_numpy())
    with epochs_bar("fit on all ratings", settings.epochs) as on_epoch:
        embeddings = fit(known, settings, on_epoch)
    release = publish(Fitted(dataset, known, embeddings, settings, report, problems), artifacts)
    log.info("published release %s: %s", release.name, release)
    return release


def _last_that_passed(artifacts: Path, dataset: Dataset) -> Published | None:
    """The newest release that was not forced; None if there is none, or if it is of other data."""
    for release in reversed(published_releases(artifacts)):
        if release.manifest is not None and not release.manifest.forced_despite:
            return release if release.manifest.dataset.fingerprint == dataset.fingerprint else None
    return None
