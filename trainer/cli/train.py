"""The command `train`."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from object_storage.bucket import Bucket
from protos.release.v1.signature import read_keys
from trainer.cli.arguments import CHEAPEST
from trainer.cli.inputs import dataset_of, hyperparameters_of, merged_with_events, positive_threshold_of
from trainer.cli.news import news_of
from trainer.cli.object_storage import synchronised
from trainer.release.canary import canary_of, expect_no_canary
from trainer.release.catalogue import check_writable, served_versions
from trainer.release.errors import SigningKeyError
from trainer.release.locks import sole_trainer
from trainer.release.prune import complete_publishing
from trainer.stages import stage

log = logging.getLogger(__name__)


def train(arguments: argparse.Namespace) -> None:
    """Train and publish a release, unless the flags say that there is no need.

    Raises TrainerRunning, and ObjectStorageError if the bucket that ARTIFACTS names cannot be reached.
    """
    bucket = synchronised(arguments.artifacts)
    for version in complete_publishing(arguments.artifacts):
        log.info("release %d: its trainer was killed while it published; its model is in place now", version)
    served = served_versions(arguments.artifacts) if arguments.if_none else []
    if served:
        log.info("release %d is published in %s already: nothing to do", served[-1], arguments.artifacts)
        return
    signing_key = _signing_key()
    check_writable(arguments.artifacts)
    with sole_trainer(arguments.artifacts):
        _train(arguments, signing_key, bucket)


def _train(arguments: argparse.Namespace, signing_key: bytes | None, bucket: Bucket | None) -> None:
    canary = canary_of(arguments.artifacts)
    if canary is not None and arguments.min_new_events:
        log.info("release %d is a canary: nothing to do before it is promoted or withdrawn", canary.release)
        return
    expect_no_canary(arguments.artifacts)
    if arguments.min_new_events:
        found = news_of(arguments.events, arguments.artifacts)
        log.info("%s", found)
        if not found.suffice(arguments.min_new_events):
            return
    with stage("reading"):
        dataset = dataset_of(arguments)
        threshold = positive_threshold_of(arguments, dataset.ratings)  # of the files: a few events must not move it
        dataset = merged_with_events(arguments, dataset)

    from trainer import training
    from trainer.cli.tables import print_evaluation

    hyperparameters = hyperparameters_of(arguments)
    cheapest = arguments.index == CHEAPEST
    training.train(
        dataset,
        threshold,
        hyperparameters,
        arguments.artifacts,
        arguments.force,
        print_evaluation,
        cheapest,
        signing_key,
        arguments.liked_only,
        bucket,
        arguments.canary,
    )


def _signing_key() -> bytes | None:
    """Return the first key of the file that SIGNING_KEY_FILE names; None if it names none. Raises SigningKeyError."""
    path = os.environ.get("SIGNING_KEY_FILE")
    if not path:
        return None
    try:
        return read_keys(Path(path))[0]
    except (OSError, ValueError) as error:
        raise SigningKeyError(f"SIGNING_KEY_FILE: {error}") from error
