"""What the flags name: the data set, the positive threshold and the hyperparameters."""

from __future__ import annotations

import argparse
import logging
from dataclasses import fields

import pandas as pd

from trainer.data.dataset import Dataset
from trainer.data.interactions import default_positive_threshold
from trainer.data.movielens import DownloadError, find_dataset
from trainer.data.sample import generate
from trainer.model.hyperparameters import Hyperparameters

log = logging.getLogger(__name__)


def dataset_of(arguments: argparse.Namespace) -> Dataset:
    """Read the data set; with --sample-if-offline, generate a sample if it cannot be downloaded.

    Raises DataError if the data cannot be used, and DownloadError if they cannot be fetched.
    """
    try:
        return find_dataset(arguments.dataset, arguments.data, arguments.cache, arguments.rating_scale)
    except DownloadError as error:
        if not arguments.sample_if_offline:
            raise
        log.warning("%s; using a GENERATED SAMPLE instead, whose figures mean nothing", error)
        return generate()


def positive_threshold_of(arguments: argparse.Namespace, ratings: pd.DataFrame) -> float:
    """Return the rating from which a movie counts as liked: the flag's, or the default for these ratings."""
    if arguments.positive_threshold is not None:
        return float(arguments.positive_threshold)
    threshold = default_positive_threshold(ratings, arguments.rating_scale.highest)
    log.info("ratings of %g and more count as liked", threshold)
    return threshold


def hyperparameters_of(arguments: argparse.Namespace) -> Hyperparameters:
    """Return the hyperparameters, each from the flag of its name."""
    return Hyperparameters(**{field.name: getattr(arguments, field.name) for field in fields(Hyperparameters)})
