"""The command line's flags."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from trainer.cli.values import columns, not_negative, positive_float, positive_int, rating_scale
from trainer.data.movielens import CACHE, DEFAULT_DATASET, PUBLISHED
from trainer.data.ratings import FIVE_STARS
from trainer.model.hyperparameters import Hyperparameters

ARTIFACTS = Path("artifacts")
ANNOY, CHEAPEST = "annoy", "cheapest"


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the flags; without a command, it is `train`. Exits with status 2 and a usage line if a flag is wrong."""
    parser = argparse.ArgumentParser(prog="python -m trainer", description="Trains movie recommendations.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_train(commands.add_parser("train", help="evaluate, fit on all ratings, publish a release (the default)"))
    _add_inspect(commands.add_parser("inspect", help="print what is understood of ratings, and their oddest rows"))
    _add_evaluate(commands.add_parser("evaluate", help="fit on one file of ratings, score against another"))
    _add_compare(commands.add_parser("compare", help="score the model and the baselines on one split of a data set"))
    _add_tune(commands.add_parser("tune", help="search hyperparameters on an inner split, for a given time"))
    _add_report(commands.add_parser("report", help="write an HTML page about a release"))
    _add_releases(commands.add_parser("releases", help="list, prune or roll back the published releases"))
    if not argv or argv[0] not in (*commands.choices, "-h", "--help"):
        argv = ["train", *argv]
    return parser.parse_args(_joined(argv))


def _joined(argv: list[str]) -> list[str]:
    """Return the words with `--rating-scale -10:10` as one: argparse takes what starts with a minus for a flag."""
    words = list(argv)
    for at, word in enumerate(words[:-1]):
        if word == "--rating-scale" and words[at + 1][:1] == "-" and ":" in words[at + 1]:
            words[at : at + 2] = [f"{word}={words[at + 1]}"]
    return words


def _add_train(parser: argparse.ArgumentParser) -> None:
    _add_data(parser)
    _add_artifacts(parser)
    parser.add_argument(
        "--force",
        action="store_true",
        help="publish even if the figures are worse than those of popular movies, of the previous release, or of exact "
        "search; the release's manifest then says so",
    )
    parser.add_argument(
        "--index",
        choices=(ANNOY, CHEAPEST),
        default=ANNOY,
        help="what finds the nearest movies: the Annoy index wherever it is nearly as fast as a scan of all vectors, "
        "or the faster of the two (default: %(default)s)",
    )
    parser.add_argument(
        "--liked-only",
        action="store_true",
        help="never recommend a movie that nobody liked; without this flag they are, where genres, year, title and "
        "tags are measured to rank held-out movies well",
    )
    parser.add_argument(
        "--if-none", action="store_true", help="do nothing if a release that can be served is already there"
    )
    parser.add_argument(
        "--events",
        default=os.environ.get("EVENTS_URL", ""),
        metavar="URL",
        help="merge the events of this store with the ratings (default: $EVENTS_URL; none if that is empty)",
    )
    _add_reading(parser)
    _add_model(parser)


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    _add_data(parser)
    _add_reading(parser)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--train", type=Path, required=True, metavar="T.csv", help="ratings to fit on")
    parser.add_argument("--test", type=Path, required=True, metavar="E.csv", help="ratings to score against")
    parser.add_argument("--movies", type=Path, metavar="M.csv", help="a list of movies that must have every rated one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    _add_k(parser)
    _add_reading(parser)
    _add_model(parser)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    _add_data(parser)
    parser.add_argument(
        "--seeds", type=positive_int, default=3, help="how many seeds the model is fitted with (default: %(default)s)"
    )
    _add_k(parser)
    _add_reading(parser)
    _add_model(parser)


def _add_tune(parser: argparse.ArgumentParser) -> None:
    _add_data(parser)
    parser.add_argument(
        "--seconds", type=positive_float, default=600.0, help="how long to search (default: %(default)g)"
    )
    parser.add_argument(
        "--study",
        type=Path,
        default=ARTIFACTS / "tuning",
        help="folder that keeps the trials, for a later search to continue from (default: %(default)s)",
    )
    _add_reading(parser)
    _add_model(parser)


def _add_report(parser: argparse.ArgumentParser) -> None:
    _add_data(parser)
    _add_artifacts(parser)
    parser.add_argument("--release", type=positive_int, help="the release's version (default: the newest)")
    _add_reading(parser)


def _add_releases(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(action="list", artifacts=ARTIFACTS)
    actions = parser.add_subparsers(dest="action")
    listing = actions.add_parser("list", help="versions, data, metrics and sizes, oldest first (the default)")
    prune = actions.add_parser("prune", help="remove old releases with their models, but none that is in use")
    prune.add_argument(
        "--keep", type=positive_int, default=2, help="how many of the newest to keep (default: %(default)s)"
    )
    prune.add_argument(
        "--force", action="store_true", help="also remove what may be in use because the file system has no file locks"
    )
    rollback = actions.add_parser("rollback", help="withdraw the newest release, so that the one before it is served")
    for action in (listing, prune, rollback):
        _add_artifacts(action)


def _add_data(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--dataset",
        choices=list(PUBLISHED),
        default=DEFAULT_DATASET,
        help="a MovieLens data set, downloaded from GroupLens unless cached (default: %(default)s)",
    )
    source.add_argument(
        "--data", type=Path, metavar="DIR", help="a folder with ratings of yours, and a list of movies (docs/data.md)"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder that keeps downloads (default: %(default)s)")
    parser.add_argument(
        "--sample-if-offline",
        action="store_true",
        help="use a small generated sample if the data set cannot be downloaded",
    )


def _add_artifacts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--artifacts", type=Path, default=ARTIFACTS, help="folder of releases and models (default: %(default)s)"
    )


def _add_k(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-k", type=positive_int, default=20, help="length of the scored lists (default: %(default)s)")


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rating-scale",
        type=rating_scale,
        default=FIVE_STARS,
        metavar="LOW:HIGH",
        help="lowest and highest rating allowed (default: 0.5:5)",
    )
    parser.add_argument(
        "--positive-threshold",
        type=float,
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


def _add_model(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model")
    defaults = Hyperparameters()
    model.add_argument("--embedding-dim", type=positive_int, default=defaults.embedding_dim)
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
        type=not_negative,
        default=defaults.watched_weight,
        help="how much a movie counts that was watched but not liked; a liked one counts 1 (default: %(default)s)",
    )
    model.add_argument(
        "--recency",
        type=not_negative,
        default=defaults.recency,
        help="a user's oldest rating counts exp(−recency) of the newest (default: %(default)s)",
    )
    model.add_argument("--seed", type=int, default=defaults.seed)
