"""Unusual data sets that occur in practice: each goes through a whole training run to a release that loads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recommender_service.release_loading import load_release
from tests.support.tastes import SMALL, dataset_of, tastes
from trainer.data.ratings import RatingScale, default_positive_threshold
from trainer.data.records import DataError
from trainer.training import train

SCALE = 5.0


def with_rows(ratings: pd.DataFrame, *rows: tuple[int, int, float, int]) -> pd.DataFrame:
    return pd.concat([ratings, pd.DataFrame(rows, columns=ratings.columns)], ignore_index=True)


CASES: dict[str, tuple[Callable[[], pd.DataFrame], float]] = {
    "users with one rating": (lambda: with_rows(tastes(), *((u, u % 30 + 1, 5, 1) for u in range(100, 160))), SCALE),
    "movies with one rating": (lambda: with_rows(tastes(), *((m % 40 + 1, m, 5, 99) for m in range(100, 160))), SCALE),
    "a user who rated everything": (lambda: with_rows(tastes(), *((99, m, 5, m) for m in range(1, 31))), SCALE),
    "all ratings equal": (lambda: tastes(low=4, high=4), SCALE),
    "ten users": (lambda: tastes(users=10), SCALE),
    "half stars": (lambda: tastes(low=2.5, high=4.5), SCALE),
    "ten points": (lambda: tastes(low=2, high=10), 10.0),
    "no times": (lambda: tastes().assign(timestamp=0), SCALE),
    "many movies for few users": (lambda: tastes(users=12, movies=600, each=100), SCALE),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", list(CASES))
def test_training_publishes_a_release(case: str, tmp_path: Path) -> None:
    """The release loads in the service, has every user and movie, and its figures are numbers between 0 and 1."""
    make, highest = CASES[case]
    dataset = dataset_of(make())
    threshold = default_positive_threshold(dataset.ratings, RatingScale(0.5, highest))
    # The figures of so little data may fail the gate; this test is about training and serving such data at all.
    release = load_release(train(dataset, threshold, SMALL, tmp_path, force=True))
    assert release.manifest.num_users == dataset.ratings["user_id"].nunique()
    assert release.manifest.num_movies == len(dataset.movies)
    assert np.isfinite(release.movie_embeddings.vectors).all()
    for evaluation in release.manifest.evaluations:
        assert all(0 <= value <= 1 for value in evaluation.metrics.values())


def test_data_without_a_test_part_are_refused(tmp_path: Path) -> None:
    """If no user has a second rating to hold out, training ends with an error and publishes nothing."""
    singles = pd.DataFrame({"user_id": range(1, 30), "movie_id": range(1, 30), "rating": 5.0, "timestamp": 0})
    with pytest.raises(DataError, match="the test part holds no new rating of at least"):
        train(dataset_of(singles), 3.5, SMALL, tmp_path)
    assert not (tmp_path / "releases").exists()
