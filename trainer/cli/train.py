"""The command `train`."""

from __future__ import annotations

import argparse
import logging

from trainer.cli.inputs import dataset_of, hyperparameters_of, positive_threshold_of
from trainer.release.catalogue import published_releases

log = logging.getLogger(__name__)


def train(arguments: argparse.Namespace) -> None:
    """Train and publish a release; with --if-none, only if there is no release yet."""
    published = published_releases(arguments.artifacts) if arguments.if_none else []
    if published:
        log.info("release %d is published in %s already: nothing to do", published[-1].version, arguments.artifacts)
        return
    dataset = dataset_of(arguments)
    log.info(
        "%s: %s ratings of %s movies by %s users",
        dataset.name,
        f"{len(dataset.ratings):,}",
        f"{dataset.ratings['movie_id'].nunique():,}",
        f"{dataset.ratings['user_id'].nunique():,}",
    )
    threshold = positive_threshold_of(arguments, dataset.ratings)

    from trainer import training
    from trainer.cli.tables import print_evaluation

    hyperparameters = hyperparameters_of(arguments)
    training.train(dataset, threshold, hyperparameters, arguments.artifacts, arguments.force, print_evaluation)
