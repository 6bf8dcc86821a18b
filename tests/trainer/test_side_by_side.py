"""Two trainings of the same tables: joined, shown as one, and ended together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from trainer.model import hyperparameters
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.partition import Partition
from trainer.model.progress import Progress
from trainer.model.side_by_side import SEED_STEP, train_side_by_side
from trainer.model.train_tables import train_tables

SETTINGS = Hyperparameters(embedding_dim=8, epochs=3, temperature=0.2)
NUM_USERS = hyperparameters.MIN_USERS_OF_TWO_FITS
HISTORY = sparse.random(NUM_USERS, 40, density=0.3, format="csr", dtype=np.float32, random_state=0)
PARTITION = Partition(np.maximum(np.diff(HISTORY.tocsc().indptr), 1))


def test_a_dot_product_is_the_mean_of_both_cosines() -> None:
    """A dot product of the joined rows is the mean of the cosines that each training has alone."""
    users, movies = train_side_by_side(HISTORY, PARTITION, SETTINGS, lambda progress: None)
    alone = [
        train_tables(HISTORY, PARTITION, replace(SETTINGS, seed=seed), lambda progress: None) for seed in (0, SEED_STEP)
    ]
    expected = np.mean([their_users @ their_movies.T for their_users, their_movies in alone], axis=0)
    np.testing.assert_allclose(users @ movies.T, expected, atol=1e-6)


def test_progress_is_of_both_and_the_losses_of_one() -> None:
    """Steps are counted over both trainings up to the last, and each epoch is told of once."""
    told: list[Progress] = []
    train_side_by_side(HISTORY, PARTITION, SETTINGS, told.append)
    assert [progress.done for progress in told] == list(range(1, told[-1].total + 1))
    assert [progress.epoch_done for progress in told if progress.epoch_done] == [1, 2, 3]


def test_an_error_ends_both_trainings() -> None:
    """What the caller's function raises comes out, and neither training goes on."""
    steps = 0

    def fail(progress: Progress) -> None:
        nonlocal steps
        steps += 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_side_by_side(HISTORY, PARTITION, SETTINGS, fail)
    assert steps <= 2


def test_few_and_many_users_are_trained_once() -> None:
    """From 1,000 to 8,000 users there are two trainings, of fewer epochs the more users there are; else one."""
    settings = Hyperparameters()
    counts = (999, 1_000, 4_500, 6_000, 8_000, 8_001, 100_000)
    assert [settings.num_fits_for(count) for count in counts] == [1, 2, 2, 2, 2, 1, 1]
    assert [settings.epochs_for(count) for count in counts] == [10, 10, 10, 7, 5, 10, 3]
