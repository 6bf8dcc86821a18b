"""The command `train`."""

from __future__ import annotations

import argparse
import logging

from trainer.cli.arguments import CHEAPEST
from trainer.cli.inputs import dataset_of, hyperparameters_of, positive_threshold_of
from trainer.release.catalogue import check_writable, published_releases

log = logging.getLogger(__name__)


def train(arguments: argparse.Namespace) -> None:
    """Train and publish a release; with --if-none, only if there is no release yet."""
    published = published_releases(arguments.artifacts) if arguments.if_none else []
    if published:
        log.info("release %d is published in %s already: nothing to do", published[-1].version, arguments.artifacts)
        return
    check_writable(arguments.artifacts)
    dataset = dataset_of(arguments)
    threshold = positive_threshold_of(arguments, dataset.ratings)

    from trainer import training
    from trainer.cli.tables import print_evaluation

    hyperparameters = hyperparameters_of(arguments)
    cheapest = arguments.index == CHEAPEST
    training.train(
        dataset, threshold, hyperparameters, arguments.artifacts, arguments.force, print_evaluation, cheapest
    )
