"""The split in time, and ids turned into rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trainer.data.interactions import default_positive_threshold, interactions_of, rows_of, split_by_time


def ratings(*rows: tuple[int, int, float, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "timestamp"])


def test_the_last_fifth_of_each_user_is_the_test_part() -> None:
    everything = ratings(*((1, movie, 4.0, 100 - movie) for movie in range(1, 12)), (2, 5, 4.0, 1), (2, 6, 4.0, 2))
    train, test = split_by_time(everything)
    assert sorted(map(tuple, test[["user_id", "movie_id"]].to_numpy())) == [(1, 1), (1, 2), (2, 6)]
    assert len(train) + len(test) == len(everything)


def test_equal_times_are_ordered_by_movie_and_a_single_rating_is_kept_for_training() -> None:
    train, test = split_by_time(ratings((1, 9, 4.0, 7), (1, 3, 4.0, 7), (2, 5, 4.0, 1)))
    assert test[["user_id", "movie_id"]].to_numpy().tolist() == [[1, 9]]
    assert train["user_id"].tolist() == [1, 2]


def test_movies_that_somebody_liked_come_first() -> None:
    known = interactions_of(ratings((7, 50, 5, 0), (7, 20, 1, 0), (3, 90, 4, 0)), 3.5, catalogue=np.array([10, 90]))
    assert known.user_ids.tolist() == [3, 7]
    assert known.movie_ids.tolist() == [50, 90, 10, 20]
    assert known.num_trained_movies == 2
    assert known.watched.toarray().tolist() == [[0, 1, 0, 0], [1, 0, 0, 1]]
    assert known.positives.toarray().tolist() == [[0, 1], [1, 0]]
    assert known.popularity.tolist() == [1, 1, 0, 0]


def test_history_weighs_likes_above_what_was_only_watched_many_stars_above_few_and_new_above_old() -> None:
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
def test_whatever_was_liked_counts_on_scales_that_go_to_zero_or_below(stars: list[float], threshold: float) -> None:
    history = interactions_of(ratings(*((1, i, s, 0) for i, s in enumerate(stars))), threshold).history(0, 0.1)
    assert history.shape[1] == history.nnz == sum(s >= threshold for s in stars)
    assert (history.data > 0).all()


def test_equal_or_missing_times_count_alike() -> None:
    history = interactions_of(ratings((1, 5, 4, 0), (1, 6, 4, 0), (1, 7, 4, 0)), 3.5).history(3, 0.1)
    assert len(set(history.data.tolist())) == 1


def test_ids_without_a_row_are_minus_one() -> None:
    assert rows_of(np.array([30, 10, 20]), np.array([20, 5, 30, 99])).tolist() == [2, -1, 0, -1]


def test_nothing_liked_is_an_error_that_names_the_threshold() -> None:
    with pytest.raises(ValueError, match=r"expected some rating of at least 3\.5, got none"):
        interactions_of(ratings((1, 1, 2.0, 0)), 3.5)


@pytest.mark.parametrize(
    ("stars", "highest", "threshold"),
    [
        ([0.5, 3, 5], 5, 3.5),  # the usual case
        ([3, 4, 5], 5, 3),  # filtered to positives already
        ([1, 1, 1], 5, 1),  # implicit feedback: one value for "did"
        ([2, 8, 10], 10, 7),  # a ten-point scale
    ],
)
def test_the_default_threshold_follows_the_scale(stars: list[float], highest: float, threshold: float) -> None:
    frame = ratings(*((1, i, s, 0) for i, s in enumerate(stars, start=1)))
    assert default_positive_threshold(frame, highest) == pytest.approx(threshold)
