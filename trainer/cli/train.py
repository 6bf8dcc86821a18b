"""The command `train`."""

from __future__ import annotations

import argparse
import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path

import numpy as np

from object_storage.bucket import Bucket
from protos.release.v1.signature import read_keys
from trainer.cli.arguments import CHEAPEST
from trainer.cli.inputs import dataset_of, hyperparameters_of, merged_with_events, positive_threshold_of
from trainer.cli.news import news_of
from trainer.cli.object_storage import synchronised
from trainer.model.hyperparameters import Hyperparameters
from trainer.release.canary import canary_of, expect_no_canary
from trainer.release.catalogue import check_writable, served_versions
from trainer.release.errors import SigningKeyError
from trainer.release.locks import sole_trainer
from trainer.release.prune import complete_publishing
from trainer.stages import stage
from trainer.workers.cluster import VARIABLE, cluster_of
from trainer.workers.errors import ClusterError
from trainer.workers.start import joined
from trainer.workers.workers import Workers

log = logging.getLogger(__name__)


def train(arguments: argparse.Namespace) -> None:
    """Train and publish a release, unless the flags say that there is no need.

    Where TF_CONFIG names several workers, each trains with its users, and the first one decides and publishes.

    Raises TrainerRunning, WorkersError, and ObjectStorageError if the bucket that ARTIFACTS names cannot be reached.
    """
    cluster = cluster_of(os.environ.get(VARIABLE, ""))
    if cluster is not None and arguments.events:
        raise ClusterError(
            "--events or EVENTS_URL: expected none with several workers, which do not merge events; let "
            "`python -m events export` write them to files of ratings"
        )
    with joined(cluster, arguments.worker_timeout) as workers, ExitStack() as stack:
        workers.expect_alike(_settings(arguments))
        prepared = workers.on_chief(lambda: _prepared(arguments, stack))
        if workers.from_chief(np.array([prepared is not None]))[0]:
            _train(arguments, prepared or Prepared(None, None), workers)


@dataclass(frozen=True)
class Prepared:
    """What publishing needs; None for both on workers that do not publish."""

    signing_key: bytes | None
    bucket: Bucket | None


def _prepared(arguments: argparse.Namespace, stack: ExitStack) -> Prepared | None:
    """Return what publishing needs, with a lock on the artifacts in the stack; None if there is nothing to do."""
    bucket = synchronised(arguments.artifacts)
    for version in complete_publishing(arguments.artifacts):
        log.info("release %d: its trainer was killed while it published; its model is in place now", version)
    served = served_versions(arguments.artifacts) if arguments.if_none else []
    if served:
        log.info("release %d is published in %s already: nothing to do", served[-1], arguments.artifacts)
        return None
    signing_key = _signing_key()
    check_writable(arguments.artifacts)
    stack.enter_context(sole_trainer(arguments.artifacts))
    canary = canary_of(arguments.artifacts)
    if canary is not None and arguments.min_new_events:
        log.info("release %d is a canary: nothing to do before it is promoted or withdrawn", canary.release)
        return None
    expect_no_canary(arguments.artifacts)
    if arguments.min_new_events:
        found = news_of(arguments.events, arguments.artifacts)
        log.info("%s", found)
        if not found.suffice(arguments.min_new_events):
            return None
    return Prepared(signing_key, bucket)


def _train(arguments: argparse.Namespace, prepared: Prepared, workers: Workers) -> None:
    with stage("reading"):
        dataset = dataset_of(arguments, workers)
        threshold = positive_threshold_of(arguments, dataset.ratings, workers)  # of the files: no few events move it
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
        prepared.signing_key,
        arguments.liked_only,
        prepared.bucket,
        arguments.canary,
        workers,
    )


def _settings(arguments: argparse.Namespace) -> dict[str, str]:
    """Return what must be the same for all workers."""
    names = [field.name for field in fields(Hyperparameters)]
    names += ["rating_scale", "columns", "strict", "positive_threshold", "liked_only"]
    flags = {f"--{name.replace('_', '-')}": str(getattr(arguments, name)) for name in names}
    return {"the trainer's version": metadata.version("movie-recommender"), **flags}


def _signing_key() -> bytes | None:
    """Return the first key of the file that SIGNING_KEY_FILE names; None if it names none. Raises SigningKeyError."""
    path = os.environ.get("SIGNING_KEY_FILE")
    if not path:
        return None
    try:
        return read_keys(Path(path))[0]
    except (OSError, ValueError) as error:
        raise SigningKeyError(f"SIGNING_KEY_FILE: {error}") from error
