"""Ids turned into rows, and how much each rating counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trainer.data.interactions import interactions_of, rows_of


def ratings(*rows: tuple[int, int, float, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "timestamp"])


def test_movies_that_somebody_liked_come_first() -> None:
    """Rows of trained movies precede those of the rest of the catalogue."""
    known = interactions_of(ratings((7, 50, 5, 0), (7, 20, 1, 0), (3, 90, 4, 0)), 3.5, catalogue=np.array([10, 90]))
    assert known.user_ids.tolist() == [3, 7]
    assert known.movie_ids.tolist() == [50, 90, 10, 20]
    assert known.num_trained_movies == 2
    assert known.watched.toarray().tolist() == [[0, 1, 0, 0], [1, 0, 0, 1]]
    assert known.positives.toarray().tolist() == [[0, 1], [1, 0]]
    assert known.popularity.tolist() == [1, 1, 0, 0]


def test_likes_many_stars_and_new_ratings_count_most() -> None:
    """A history weighs likes above what was only watched, many stars above few, and new above old."""
    rated = ratings((7, 50, 5, 10), (7, 20, 1, 20), (7, 60, 4, 30), (7, 70, 4, 40), (3, 20, 1, 1), (4, 20, 5, 1))
    known = interactions_of(rated, 3.5)
    assert known.movie_ids.tolist() == [20, 50, 60, 70]
    alike = known.history(recency=0, watched_weight=0.5)
    expected = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0.1, 1, 0.8, 0.8]])  # user 3 liked nothing
    assert alike.toarray() == pytest.approx(expected)
    fading = known.history(recency=2, watched_weight=0.5).toarray()[2]
    assert fading == pytest.approx([0.1 * np.exp(-2 * 0.5), np.exp(-2 * 0.75), 0.8 * np.exp(-2 * 0.25), 0.8])


@pytest.mark.parametrize(
    ("stars", "threshold"), [((-10.0, -8.0, 10.0), -9), ((0.0, 0.0, 0.0), 0), ((-3.0, -2.0, -1.0), -5)]
)
def test_what_was_liked_counts_on_scales_below_zero(stars: list[float], threshold: float) -> None:
    """Every like has a weight above 0."""
    history = interactions_of(ratings(*((1, i, s, 0) for i, s in enumerate(stars))), threshold).history(0, 0.1)
    assert history.shape[1] == history.nnz == sum(s >= threshold for s in stars)
    assert (history.data > 0).all()


def test_movies_seen_but_not_rated_are_watched_and_not_liked() -> None:
    """They count as much as the mean rating, as something watched."""
    rated = ratings((1, 5, np.nan, 0), (1, 6, 5, 0), (1, 7, 3, 0), (2, 5, 5, 0))
    known = interactions_of(rated, 3.5)
    assert known.positives.toarray().tolist() == [[0, 1], [1, 0]]
    assert known.watched.toarray().tolist() == [[1, 1, 1], [1, 0, 0]]
    history = known.history(recency=0, watched_weight=0.5).toarray()[0]
    assert history == pytest.approx([0.5 * (13 / 3) / 5, 1])


def test_equal_or_missing_times_count_alike() -> None:
    """Recency has nothing to weigh there."""
    history = interactions_of(ratings((1, 5, 4, 0), (1, 6, 4, 0), (1, 7, 4, 0)), 3.5).history(3, 0.1)
    assert len(set(history.data.tolist())) == 1


def test_ids_without_a_row_are_minus_one() -> None:
    """Unknown ids are told from row 0."""
    assert rows_of(np.array([30, 10, 20]), np.array([20, 5, 30, 99])).tolist() == [2, -1, 0, -1]


def test_nothing_liked_is_an_error_that_names_the_threshold() -> None:
    """There is nothing to learn from."""
    with pytest.raises(ValueError, match=r"expected some rating of at least 3\.5, got none"):
        interactions_of(ratings((1, 1, 2.0, 0)), 3.5)
