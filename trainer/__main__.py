"""Command line: `python -m trainer` trains and publishes a release; `… evaluate` scores a split;
`… releases` lists, prunes and rolls back."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd

from trainer.arguments import parse_arguments
from trainer.datasets import DownloadError, find_dataset
from trainer.hyperparameters import Hyperparameters
from trainer.interactions import default_positive_threshold
from trainer.movies_reader import movies_from_csv
from trainer.published import prune, published_releases, roll_back
from trainer.ratings_files import Dataset
from trainer.ratings_reader import CSV, read_ratings
from trainer.records import DataError
from trainer.sample import generate

# TensorFlow takes seconds to import, and wrong flags or bad data should not wait for it: what needs it comes late.

log = logging.getLogger("trainer")


def main(argv: list[str]) -> int:
    """Returns the exit status: 1 for data that cannot be used, 2 for wrong flags."""
    arguments = parse_arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if arguments.command == "evaluate":
            _evaluate(arguments)
        elif arguments.command == "releases":
            return _releases(arguments)
        else:
            _train(arguments)
    except (DataError, DownloadError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _train(arguments: argparse.Namespace) -> None:
    published = published_releases(arguments.artifacts) if arguments.if_none else []
    if published:
        log.info("release %d is published in %s already: nothing to do", published[-1].version, arguments.artifacts)
        return
    dataset = _dataset(arguments)
    log.info(
        "%s: %s ratings of %s movies by %s users",
        dataset.name,
        f"{len(dataset.ratings):,}",
        f"{dataset.ratings['movie_id'].nunique():,}",
        f"{dataset.ratings['user_id'].nunique():,}",
    )
    threshold = _threshold(arguments, dataset.ratings)

    from trainer.training import train

    train(dataset, threshold, _hyperparameters(arguments), arguments.artifacts)


def _dataset(arguments: argparse.Namespace) -> Dataset:
    try:
        return find_dataset(arguments.dataset, arguments.data, arguments.cache, arguments.rating_scale)
    except DownloadError as error:
        if not arguments.sample_if_offline:
            raise
        log.warning("%s; going on with a GENERATED SAMPLE: good for trying the system, not for figures", error)
        return generate()


def _evaluate(arguments: argparse.Namespace) -> None:
    train = read_ratings(arguments.train, CSV, arguments.rating_scale)
    test = read_ratings(arguments.test, CSV, arguments.rating_scale)
    if arguments.movies is not None:
        listed = set(movies_from_csv(arguments.movies)["movie_id"])
        for path, ratings in ((arguments.train, train), (arguments.test, test)):
            missing = set(ratings["movie_id"]) - listed
            if missing:
                raise DataError(f"{path}: movie {min(missing)} is rated, but {arguments.movies} does not list it")
    threshold = _threshold(arguments, train)

    from trainer.console import epochs_bar, print_report
    from trainer.evaluation import evaluate

    settings = _hyperparameters(arguments)
    with epochs_bar(f"fit on {arguments.train}", settings.epochs) as on_epoch:
        report = evaluate(train, test, threshold, settings, arguments.k, on_epoch)
    print_report(report)
    if arguments.json is not None:
        figures = {"positive_threshold": threshold, "hyperparameters": asdict(settings), **asdict(report)}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _hyperparameters(arguments: argparse.Namespace) -> Hyperparameters:
    return Hyperparameters(**{field.name: getattr(arguments, field.name) for field in fields(Hyperparameters)})


def _releases(arguments: argparse.Namespace) -> int:
    artifacts: Path = arguments.artifacts
    if arguments.action == "prune":
        removed, in_use = prune(artifacts, arguments.keep)
        print(f"removed: {', '.join(map(str, removed)) or 'nothing'}")
        if in_use:
            print(f"kept, because in use: {', '.join(map(str, in_use))}")
    elif arguments.action == "rollback":
        try:
            withdrawn, newest = roll_back(artifacts)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        print(f"withdrew {withdrawn}; the newest release is {newest}")
    else:
        print(f"{'release':<16}{'dataset':<20}{'recall@20':>10}{'ndcg@20':>10}{'MB':>8}  note")
        for release in published_releases(artifacts):
            dataset = release.manifest.dataset.name if release.manifest else "?"
            figures = [release.metric(name) for name in ("recall@20", "ndcg@20")]
            shown = "".join(f"{figure:>10.4f}" if figure is not None else f"{'-':>10}" for figure in figures)
            note = "" if release.has_model else "without a model: not served"
            print(f"{release.version:<16}{dataset:<20}{shown}{release.num_bytes / 1e6:>8.1f}  {note}".rstrip())
    return 0


def _threshold(arguments: argparse.Namespace, ratings: pd.DataFrame) -> float:
    if arguments.positive_threshold is not None:
        return float(arguments.positive_threshold)
    threshold = default_positive_threshold(ratings, arguments.rating_scale.highest)
    log.info("ratings of %g and more count as liked", threshold)
    return threshold


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
