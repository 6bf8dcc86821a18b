"""What the flags name: the data set, the positive threshold and the hyperparameters."""

from __future__ import annotations

import argparse
import logging
from dataclasses import fields

import pandas as pd

from trainer.data.dataset import Dataset, Reading
from trainer.data.movielens import DownloadError, find_dataset
from trainer.data.ratings import default_positive_threshold
from trainer.data.sample import generate
from trainer.model.hyperparameters import Hyperparameters
from trainer.workers.workers import ALONE, Workers

log = logging.getLogger(__name__)


def dataset_of(arguments: argparse.Namespace, workers: Workers = ALONE) -> Dataset:
    """Read the data set and log what was understood of it.  workers: as for `read_folder`.

    With --sample-if-offline, a sample is generated if the data set cannot be downloaded.

    Raises DataError if the data cannot be used, and DownloadError if they cannot be fetched.
    """
    try:
        dataset = find_dataset(arguments.dataset, arguments.data, arguments.cache, reading_of(arguments), workers)
    except DownloadError as error:
        if not arguments.sample_if_offline or workers.count > 1:
            raise
        log.warning("%s; using a GENERATED SAMPLE instead, whose figures mean nothing", error)
        return generate()
    for line in dataset.understood.lines if dataset.understood is not None else ():
        log.info("%s", line)
    return dataset


def merged_with_events(arguments: argparse.Namespace, dataset: Dataset, until_event: int | None = None) -> Dataset:
    """Return the data set with the events of the store that --events names; as it is if that is empty.

    until_event: the number of the last event that counts; None: all of them do.

    Raises EventStoreError if the store cannot be read.
    """
    if not arguments.events:
        return dataset
    # Not at the top: without a store, no package for databases is needed.
    from events.snapshot import read_snapshot
    from events.store import EventStore
    from trainer.data.events import with_events

    store = EventStore(arguments.events)
    snapshot = read_snapshot(store, until_event)
    store.close()
    merged = with_events(dataset, snapshot, arguments.rating_scale)
    if merged.events is not None:
        log.info("%s", merged.events.words)
    return merged


def reading_of(arguments: argparse.Namespace) -> Reading:
    """Return how the flags say to read ratings."""
    return Reading(arguments.rating_scale, arguments.columns, arguments.strict)


def positive_threshold_of(arguments: argparse.Namespace, ratings: pd.DataFrame, workers: Workers = ALONE) -> float:
    """Return the rating from which a movie counts as liked: the flag's, or the default for these ratings."""
    if arguments.positive_threshold is not None:
        return float(arguments.positive_threshold)
    threshold = default_positive_threshold(ratings, arguments.rating_scale, workers)
    log.info("ratings of %g and more count as liked", threshold)
    return threshold


def hyperparameters_of(arguments: argparse.Namespace) -> Hyperparameters:
    """Return the hyperparameters, each from the flag of its name."""
    return Hyperparameters(**{field.name: getattr(arguments, field.name) for field in fields(Hyperparameters)})
