"""Searches hyperparameters on an inner split of the training part for a given time; a later run continues."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

import optuna
from optuna.storages.journal import JournalFileBackend

from trainer.data.dataset import Dataset
from trainer.data.split import split
from trainer.evaluation.evaluate import exact_scores
from trainer.evaluation.task import Task, task_of
from trainer.model.hyperparameters import Hyperparameters, default_temperature

K = 20
TUNED = ("embedding_dim", "epochs", "learning_rate", "temperature", "watched_weight", "recency")


def tune(
    dataset: Dataset, positive_threshold: float, defaults: Hyperparameters, seconds: float, folder: Path
) -> tuple[optuna.Study, Path]:
    """Search for `seconds` and return the study with all its trials, and the file that keeps it.

    The search continues if the folder has a study of the same data and threshold. The test part of the data's split is
    not used: trials are scored on the last fifth of each user's ratings in the training part.
    """
    train, _ = split(dataset.ratings)
    task = task_of(*split(train), positive_threshold)
    folder.mkdir(parents=True, exist_ok=True)
    log_file = folder / f"{dataset.fingerprint[:16]}-{positive_threshold:g}.log"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="hyperparameters",
        storage=optuna.storages.JournalStorage(JournalFileBackend(os.fspath(log_file))),
        # The seed is the length of the file, so that a continued search draws other trials.
        sampler=optuna.samplers.TPESampler(seed=_num_lines(log_file)),
        direction="maximize",
        load_if_exists=True,
    )
    if not study.trials:  # the first trial is the one to beat
        start = {name: value for name, value in asdict(defaults).items() if name in TUNED}
        start["temperature"] = default_temperature(task.known.popularity[: task.known.num_trained_movies])
        start["epochs"] = defaults.epochs_for(len(task.known.user_ids))
        study.enqueue_trial(start)
    study.optimize(lambda trial: _recall(task, _suggest(trial, defaults)), timeout=seconds, callbacks=[_show])
    return study, log_file


def flags_of(study: optuna.Study) -> str:
    """Return the best trial's hyperparameters as flags of the command line."""
    return " ".join(f"--{name.replace('_', '-')}={value:.3g}" for name, value in study.best_params.items())


def _suggest(trial: optuna.Trial, defaults: Hyperparameters) -> Hyperparameters:
    return replace(
        defaults,
        embedding_dim=trial.suggest_int("embedding_dim", 16, 768, step=16),
        epochs=trial.suggest_int("epochs", 2, 40),
        learning_rate=trial.suggest_float("learning_rate", 0.002, 0.05, log=True),
        temperature=trial.suggest_float("temperature", 0.04, 0.5, log=True),
        watched_weight=trial.suggest_float("watched_weight", 0.0, 0.6),
        recency=trial.suggest_float("recency", 0.0, 6.0),
    )


def _recall(task: Task, hyperparameters: Hyperparameters) -> float:
    return exact_scores(task, hyperparameters, K).means[f"recall@{K}"]


def _show(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Print a line about a trial that has ended."""
    chosen = ", ".join(f"{name} {value:.3g}" for name, value in trial.params.items())
    best = " ◀ best so far" if trial.number == study.best_trial.number else ""
    print(f"{trial.number + 1:>4}  recall@{K} {trial.value:.4f}  {chosen}{best}", flush=True)


def _num_lines(log_file: Path) -> int:
    return len(log_file.read_text(encoding="utf-8").splitlines()) if log_file.exists() else 0
