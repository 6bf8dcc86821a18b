"""The commands that measure and publish nothing: `evaluate`, `compare` and `tune`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from trainer.cli.inputs import dataset_of, hyperparameters_of, positive_threshold_of
from trainer.data.interactions import split_by_time
from trainer.data.movies import movies_from_csv
from trainer.data.ratings import CSV, read_ratings
from trainer.data.records import DataError
from trainer.model.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from trainer.evaluation.evaluate import Evaluation


def evaluate(arguments: argparse.Namespace) -> None:
    """Fit on one file of ratings and score the rankings against another."""
    train = read_ratings(arguments.train, CSV, arguments.rating_scale)
    test = read_ratings(arguments.test, CSV, arguments.rating_scale)
    if arguments.movies is not None:
        _check_listed(arguments.movies, {arguments.train: train, arguments.test: test})
    threshold = positive_threshold_of(arguments, train)

    from trainer.cli.tables import print_evaluation
    from trainer.evaluation.evaluate import evaluate
    from trainer.evaluation.task import task_of
    from trainer.model.progress import epochs_bar

    hyperparameters = hyperparameters_of(arguments)
    task = task_of(train, test, threshold)
    with epochs_bar(f"fit on {arguments.train}", hyperparameters.epochs) as on_epoch:
        evaluation = evaluate(task, hyperparameters, arguments.k, on_epoch)
    print_evaluation(evaluation)
    if arguments.json is not None:
        figures = json.dumps(_figures(evaluation, hyperparameters), indent=2)
        arguments.json.write_text(figures + "\n", encoding="utf-8")


def compare(arguments: argparse.Namespace) -> None:
    """Score the model, fitted with several seeds, and the baselines on one split of a data set."""
    dataset = dataset_of(arguments)
    threshold = positive_threshold_of(arguments, dataset.ratings)

    from trainer.cli.tables import print_comparison, print_similar_movies
    from trainer.evaluation.baselines import baselines
    from trainer.evaluation.comparison import compare, compare_similar_movies
    from trainer.evaluation.evaluate import evaluate
    from trainer.evaluation.task import task_of
    from trainer.model.progress import epochs_bar

    train, test = split_by_time(dataset.ratings)
    task, hyperparameters = task_of(train, test, threshold), hyperparameters_of(arguments)
    evaluations = []
    for seed in range(hyperparameters.seed, hyperparameters.seed + arguments.seeds):
        with epochs_bar(f"fit with seed {seed}", hyperparameters.epochs) as on_epoch:
            evaluations.append(evaluate(task, replace(hyperparameters, seed=seed), arguments.k, on_epoch))
    print_comparison(compare(evaluations), arguments.k)
    for name, reason in baselines(task)[1].items():
        print(f"left out: {name}: {reason}")
    print_similar_movies(compare_similar_movies(evaluations[0], train, test, dataset.movies))


def tune(arguments: argparse.Namespace) -> None:
    """Search hyperparameters for a given time and print the best as flags."""
    dataset = dataset_of(arguments)
    threshold = positive_threshold_of(arguments, dataset.ratings)

    from trainer.evaluation.tuning import flags_of, tune

    study, log_file = tune(dataset, threshold, hyperparameters_of(arguments), arguments.seconds, arguments.study)
    print(f"the best of {len(study.trials)} trials, kept in {log_file}, has recall@20 {study.best_value:.4f}:")
    print(f"python -m trainer {flags_of(study)}")


def _check_listed(movies_path: Path, parts: dict[Path, pd.DataFrame]) -> None:
    """Raise DataError if a rated movie is not in the file of movies.  parts: ratings, by their file."""
    listed = set(movies_from_csv(movies_path)["movie_id"])
    for path, ratings in parts.items():
        missing = set(ratings["movie_id"]) - listed
        if missing:
            raise DataError(f"{path}: movie {min(missing)} is rated, but {movies_path} does not list it")


def _figures(evaluation: Evaluation, hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Return what --json writes: the figures, and what they were measured with."""
    task = evaluation.task
    return {
        "positive_threshold": task.known.positive_threshold,
        "hyperparameters": {**asdict(hyperparameters), "temperature": evaluation.embeddings.temperature},
        "num_users": len(task.user_ids),
        "num_unknown_users": evaluation.num_unknown_users,
        "num_positives": int(task.held_out.nnz),
        "num_unknown_positives": task.num_unknown_positives,
        "num_repeated": task.num_repeated,
        "is_later": task.is_later,
        "evaluations": [
            {"ranking": name, "metrics": scores.means, "standard_errors": scores.standard_errors}
            for name, scores in evaluation.scores.items()
        ],
        "calibration": asdict(evaluation.calibration),
    }
