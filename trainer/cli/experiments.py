"""The commands that measure and publish nothing: `evaluate`, `compare` and `tune`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from trainer.cli.inputs import dataset_of, hyperparameters_of, positive_threshold_of, reading_of
from trainer.data.given_split import read_split
from trainer.data.split import split
from trainer.model.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from trainer.evaluation.evaluate import Evaluation


def evaluate(arguments: argparse.Namespace) -> None:
    """Fit on one file of ratings and score the rankings against another."""
    train, test = read_split(arguments.train, arguments.test, arguments.movies, reading_of(arguments))
    threshold = positive_threshold_of(arguments, train)

    from trainer.cli.tables import print_evaluation
    from trainer.evaluation.evaluate import evaluate
    from trainer.evaluation.task import task_of
    from trainer.model.progress import progress_bar

    hyperparameters = hyperparameters_of(arguments)
    task = task_of(train, test, threshold)
    with progress_bar(f"fit on {arguments.train}") as on_progress:
        evaluation, _ = evaluate(task, hyperparameters, arguments.k, on_progress)
    print_evaluation(evaluation)
    if arguments.json is not None:
        figures = _figures(evaluation, hyperparameters, threshold)
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def compare(arguments: argparse.Namespace) -> None:
    """Score the model, fitted with several seeds, and the baselines on one split of a data set."""
    dataset = dataset_of(arguments)
    threshold = positive_threshold_of(arguments, dataset.ratings)

    from trainer.cli.tables import print_comparison, print_similar_movies
    from trainer.evaluation.baselines import baselines
    from trainer.evaluation.comparison import compare, compare_similar_movies
    from trainer.evaluation.evaluate import evaluate
    from trainer.evaluation.task import task_of
    from trainer.model.progress import progress_bar

    train, test = split(dataset.ratings)
    task, hyperparameters = task_of(train, test, threshold), hyperparameters_of(arguments)
    fitted = []
    for seed in range(hyperparameters.seed, hyperparameters.seed + arguments.seeds):
        with progress_bar(f"fit with seed {seed}") as on_progress:
            fitted.append(evaluate(task, replace(hyperparameters, seed=seed), arguments.k, on_progress))
    print_comparison(compare(task, [evaluation for evaluation, _ in fitted]), arguments.k)
    for name, reason in baselines(task)[1].items():
        print(f"left out: {name}: {reason}")
    print_similar_movies(compare_similar_movies(task, fitted[0][1], train, test, dataset.movies))


def tune(arguments: argparse.Namespace) -> None:
    """Search hyperparameters for a given time and print the best as flags."""
    dataset = dataset_of(arguments)
    threshold = positive_threshold_of(arguments, dataset.ratings)

    from trainer.evaluation.tuning import flags_of, tune

    study, log_file = tune(dataset, threshold, hyperparameters_of(arguments), arguments.seconds, arguments.study)
    print(f"the best of {len(study.trials)} trials, kept in {log_file}, has recall@20 {study.best_value:.4f}:")
    print(f"python -m trainer {flags_of(study)}")


def _figures(evaluation: Evaluation, hyperparameters: Hyperparameters, threshold: float) -> dict[str, Any]:
    """Return what --json writes: the figures, and what they were measured with."""
    return {
        "positive_threshold": threshold,
        "hyperparameters": {**asdict(hyperparameters), "temperature": evaluation.temperature},
        **asdict(evaluation.task),
        "num_unknown_users": evaluation.num_unknown_users,
        "evaluations": [
            {"ranking": name, "metrics": scores.means, "standard_errors": scores.standard_errors}
            for name, scores in evaluation.scores.items()
        ],
        "calibrations": [asdict(calibration) for calibration in evaluation.calibrations],
    }
