"""The main job: evaluate the settings on a split, fit them on everything, publish the release."""

from __future__ import annotations

import logging
from pathlib import Path

from trainer.console import epochs_bar, print_report
from trainer.evaluation import evaluate
from trainer.hyperparameters import Hyperparameters
from trainer.interactions import interactions_of, split_by_time
from trainer.model import fit
from trainer.ratings_files import Dataset
from trainer.release import Fitted, publish

log = logging.getLogger(__name__)


def train(dataset: Dataset, positive_threshold: float, settings: Hyperparameters, artifacts: Path) -> Path:
    """Returns the published release's folder.  Raises DataError if the ratings hold too little to learn from."""
    train_part, test_part = split_by_time(dataset.ratings)
    with epochs_bar("fit on each user's first 80 %", settings.epochs) as on_epoch:
        report = evaluate(train_part, test_part, positive_threshold, settings, on_epoch=on_epoch)
    print_report(report)
    known = interactions_of(dataset.ratings, positive_threshold, dataset.movies["movie_id"].to_numpy())
    with epochs_bar("fit on all ratings", settings.epochs) as on_epoch:
        embeddings = fit(known.positives, settings, on_epoch)
    release = publish(Fitted(dataset, known, embeddings, settings, report.evaluations, report.num_users), artifacts)
    log.info("published release %s: %s", release.name, release)
    return release
