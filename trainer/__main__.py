"""Command line: `python -m trainer` trains and publishes a release; its other commands are in arguments.py."""

from __future__ import annotations

import argparse
import errno
import io
import json
import logging
import os
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

import pandas as pd

from trainer.cli.arguments import parse_arguments
from trainer.data.dataset import Dataset, Reading
from trainer.data.given_split import read_split
from trainer.data.movielens import DownloadError, find_dataset
from trainer.data.odd_rows import odd_lines
from trainer.data.ratings import default_positive_threshold
from trainer.data.records import DataError
from trainer.data.sample import generate
from trainer.data.split import split
from trainer.model.hyperparameters import Hyperparameters
from trainer.release.catalogue import NotWritable, check_writable, prune, published_releases, roll_back

# TensorFlow takes seconds to import, and wrong flags or bad data should not wait for it: what needs it comes late.

log = logging.getLogger("trainer")

NO_SPACE = os.strerror(errno.ENOSPC)
REPORT_PACKAGES = ("optuna", "plotly", "sklearn")  # of the extra `report`, which an image that only trains lacks


def main(argv: list[str]) -> int:
    """Returns the exit status: 1 for data that cannot be used, 2 for wrong flags, 130 when interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a title that the terminal cannot show ends nothing
    arguments = parse_arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if arguments.command == "evaluate":
            _evaluate(arguments)
        elif arguments.command == "inspect":
            _inspect(arguments)
        elif arguments.command == "compare":
            _compare(arguments)
        elif arguments.command == "tune":
            _tune(arguments)
        elif arguments.command == "report":
            _report(arguments)
        elif arguments.command == "releases":
            return _releases(arguments)
        else:
            _train(arguments)
    except (DataError, DownloadError, NotWritable) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if error.name not in REPORT_PACKAGES:
            raise
        print(f"error: {error.name} is not installed: pip install '.[report]'", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing was published", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"error: {error.filename or 'writing'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except Exception as error:  # TensorFlow and Annoy have errors of their own for a full disk
        if NO_SPACE not in str(error):
            raise
        print(f"error: {NO_SPACE}: nothing was published", file=sys.stderr)
        return 1
    return 0


def _train(arguments: argparse.Namespace) -> None:
    published = published_releases(arguments.artifacts) if arguments.if_none else []
    if published:
        log.info("release %d is published in %s already: nothing to do", published[-1].version, arguments.artifacts)
        return
    check_writable(arguments.artifacts)
    dataset = _dataset(arguments)
    threshold = _threshold(arguments, dataset.ratings)

    from trainer.training import train

    train(dataset, threshold, _hyperparameters(arguments), arguments.artifacts, arguments.force)


def _inspect(arguments: argparse.Namespace) -> None:
    dataset = find_dataset(arguments.dataset, arguments.data, arguments.cache, _reading(arguments))
    if dataset.understood is not None:
        print("\n".join(dataset.understood.lines), flush=True)
        print("\n".join(("the oddest rows:", *odd_lines(dataset.understood.odd_rows))))


def _reading(arguments: argparse.Namespace) -> Reading:
    return Reading(arguments.rating_scale, arguments.columns, arguments.strict)


def _dataset(arguments: argparse.Namespace) -> Dataset:
    """Reads the data set and says what was understood of it."""
    try:
        dataset = find_dataset(arguments.dataset, arguments.data, arguments.cache, _reading(arguments))
    except DownloadError as error:
        if not arguments.sample_if_offline:
            raise
        log.warning("%s; going on with a GENERATED SAMPLE: good for trying the system, not for figures", error)
        return generate()
    for line in dataset.understood.lines if dataset.understood is not None else ():
        log.info("%s", line)
    return dataset


def _evaluate(arguments: argparse.Namespace) -> None:
    train, test = read_split(arguments.train, arguments.test, arguments.movies, _reading(arguments))
    threshold = _threshold(arguments, train)

    from trainer.cli.console import epochs_bar, print_report
    from trainer.evaluation.evaluate import evaluate
    from trainer.evaluation.task import task_of

    settings = _hyperparameters(arguments)
    task = task_of(train, test, threshold)
    with epochs_bar(f"fit on {arguments.train}", settings.epochs) as on_epoch:
        report = evaluate(task, settings, arguments.k, on_epoch)
    print_report(report)
    if arguments.json is not None:
        figures = {
            "positive_threshold": threshold,
            "hyperparameters": {**asdict(settings), "temperature": report.embeddings.temperature},
            "num_users": len(task.user_ids),
            "num_unknown_users": report.num_unknown_users,
            "num_positives": int(task.held_out.nnz),
            "num_unknown_positives": task.num_unknown_positives,
            "num_repeated": task.num_repeated,
            "is_later": task.is_later,
            "evaluations": [
                {"ranking": name, "metrics": scores.means, "standard_errors": scores.standard_errors}
                for name, scores in report.scores.items()
            ],
            "calibration": asdict(report.calibration),
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _compare(arguments: argparse.Namespace) -> None:
    dataset = _dataset(arguments)
    threshold = _threshold(arguments, dataset.ratings)

    from trainer.cli.console import epochs_bar, print_comparison, print_similar_movies
    from trainer.evaluation.baselines import baselines
    from trainer.evaluation.comparison import compare, compare_similar_movies
    from trainer.evaluation.evaluate import evaluate
    from trainer.evaluation.task import task_of

    train, test = split(dataset.ratings)
    task, settings = task_of(train, test, threshold), _hyperparameters(arguments)
    reports = []
    for seed in range(settings.seed, settings.seed + arguments.seeds):
        with epochs_bar(f"fit with seed {seed}", settings.epochs) as on_epoch:
            reports.append(evaluate(task, replace(settings, seed=seed), arguments.k, on_epoch))
    print_comparison(compare(reports), arguments.k)
    for name, reason in baselines(task)[1].items():
        print(f"left out: {name}: {reason}")
    print_similar_movies(compare_similar_movies(reports[0], train, test, dataset.movies))


def _tune(arguments: argparse.Namespace) -> None:
    dataset = _dataset(arguments)
    threshold = _threshold(arguments, dataset.ratings)

    from trainer.evaluation.tuning import flags_of, tune

    study, log_file = tune(dataset, threshold, _hyperparameters(arguments), arguments.seconds, arguments.study)
    print(f"best of {len(study.trials)} trials, kept in {log_file}: recall@20 {study.best_value:.4f}, with")
    print(f"python -m trainer {flags_of(study)}")


def _report(arguments: argparse.Namespace) -> None:
    dataset = _dataset(arguments)

    from trainer.report.page import load, write_report

    page = write_report(load(arguments.artifacts, arguments.release, dataset), arguments.artifacts)
    print(f"wrote {page}: open it in a browser")


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
    threshold = default_positive_threshold(ratings, arguments.rating_scale)
    log.info("ratings of %g and more count as liked", threshold)
    return threshold


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
