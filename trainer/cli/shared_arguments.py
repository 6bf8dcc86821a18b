"""Flags that several commands share: the data, how they are read, the model."""

from __future__ import annotations

import argparse
from pathlib import Path

from console.flags import add_path
from trainer.cli.values import (
    columns,
    embedding_dim,
    list_length,
    not_negative_int,
    positive_float,
    positive_int,
    rating,
    rating_scale,
    recency,
    watched_weight,
)
from trainer.data.movielens import CACHE, DEFAULT_DATASET, PUBLISHED
from trainer.data.ratings import FIVE_STARS
from trainer.model.hyperparameters import Hyperparameters

ARTIFACTS = Path("artifacts")


def add_data(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--dataset",
        choices=list(PUBLISHED),
        default=DEFAULT_DATASET,
        help="a MovieLens data set, downloaded from GroupLens unless cached (default: %(default)s)",
    )
    about = "a folder with ratings of yours, and a list of movies (docs/data.md)"
    add_path(source, "--data", folder=True, metavar="DIR", help=about)
    add_path(parser, "--cache", folder=True, default=CACHE, help="folder that keeps downloads (default: %(default)s)")
    parser.add_argument(
        "--sample-if-offline",
        action="store_true",
        help="use a small generated sample if the data set cannot be downloaded",
    )


def add_artifacts(parser: argparse.ArgumentParser) -> None:
    about = "folder of releases and models (default: %(default)s)"
    add_path(parser, "--artifacts", folder=True, default=ARTIFACTS, help=about)


def add_k(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-k", type=list_length, default=20, help="length of the scored lists (default: %(default)s)")


def add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rating-scale",
        type=rating_scale,
        default=FIVE_STARS,
        metavar="LOW:HIGH",
        help="lowest and highest rating allowed (default: 0.5:5)",
    )
    parser.add_argument(
        "--positive-threshold",
        type=rating,
        metavar="RATING",
        help="lowest rating that counts as liked (default: 0.7 of the scale's range, which starts at 0 or below: 3.5 "
        "of 5, 4 of -10 to 10; the lowest rating, if none lies in the lower half of the range, because such a file has "
        "only ratings of what people liked)",
    )
    parser.add_argument(
        "--columns",
        type=columns,
        metavar="NAMES",
        help="names of the columns where ratings have no header, such as user,movie,rating,timestamp",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse repeated ratings and ratings of movies that are not listed, which are left out otherwise",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model")
    defaults = Hyperparameters()
    model.add_argument("--embedding-dim", type=embedding_dim, default=defaults.embedding_dim)
    model.add_argument(
        "--epochs", type=positive_int, help="passes over the users (default: 10, and fewer from 30,000 users on)"
    )
    model.add_argument("--batch-size", type=positive_int, default=defaults.batch_size, help="most users per step")
    model.add_argument("--learning-rate", type=positive_float, default=defaults.learning_rate)
    model.add_argument(
        "--temperature",
        type=positive_float,
        help="what cosines are divided by before the softmax (default: the fewer movies share the likes, the higher; "
        "where users like few movies, a search finds it)",
    )
    model.add_argument(
        "--watched-weight",
        type=watched_weight,
        default=defaults.watched_weight,
        help="how much a movie counts that was watched but not liked; a liked one counts 1 (default: %(default)s)",
    )
    model.add_argument(
        "--recency",
        type=recency,
        default=defaults.recency,
        help="a user's oldest rating counts exp(−recency) of the newest (default: %(default)s)",
    )
    model.add_argument("--seed", type=not_negative_int, default=defaults.seed)
