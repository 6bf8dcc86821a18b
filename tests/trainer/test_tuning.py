"""The search for hyperparameters with `tune`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tastes import SMALL, dataset_of, tastes
from trainer.evaluation.tuning import TUNED, flags_of, tune


@pytest.mark.slow
def test_tuning_starts_with_the_defaults_and_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first trial has the defaults, the search ends in time, and a second search adds to the same trials."""
    dataset = dataset_of(tastes(users=30, movies=60, each=30))
    study, log = tune(dataset, 3.5, SMALL, seconds=0.01, folder=tmp_path)
    assert len(study.trials) == 1
    assert study.trials[0].params["recency"] == SMALL.recency
    assert set(study.best_params) == set(TUNED)
    assert all(f"--{name.replace('_', '-')}=" in flags_of(study) for name in TUNED)
    again, same = tune(dataset, 3.5, SMALL, seconds=0.01, folder=tmp_path)
    assert same == log
    assert len(again.trials) == 2
    assert "best so far" in capsys.readouterr().out
