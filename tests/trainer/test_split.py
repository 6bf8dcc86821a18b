"""The split is in time where times tell an order, and at random where they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.folders import folder_of
from trainer.data.dataset import Dataset, read_folder
from trainer.data.split import split
from trainer.evaluation.task import task_of

START_S = 1_600_000_000


def ratings(*rows: tuple[int, int, float, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "timestamp"])


def of_times(path: Path, times: list[list[str]]) -> Dataset:
    """A user for each list of times, a rating for each time; movies are numbered from 1 for each user."""
    rows = [f"{user},{movie},5,{time}\n" for user, own in enumerate(times) for movie, time in enumerate(own, start=1)]
    return read_folder(folder_of(path, {"ratings.csv": "user,item,rating,time\n" + "".join(rows)}))


def test_the_last_fifth_of_each_user_is_the_test_part() -> None:
    """At least one rating of everybody who has two."""
    times = [START_S + 100 - movie for movie in range(1, 12)]
    everything = ratings(
        *((1, movie, 4.0, time) for movie, time in enumerate(times, 1)), (2, 5, 4.0, 1), (2, 6, 4.0, 2)
    )
    train, test = split(everything)
    assert sorted(map(tuple, test[["user_id", "movie_id"]].to_numpy())) == [(1, 1), (1, 2), (2, 6)]
    assert len(train) + len(test) == len(everything)


def test_equal_times_among_others_are_ordered_by_movie() -> None:
    """A single rating stays in the training part."""
    rows = [(1, 9, 4.0, START_S + 7), (1, 3, 4.0, START_S + 7), (1, 1, 4.0, START_S), (2, 5, 4.0, START_S)]
    train, test = split(ratings(*rows))
    assert test[["user_id", "movie_id"]].to_numpy().tolist() == [[1, 9]]
    assert sorted(train["user_id"]) == [1, 1, 2]


@pytest.mark.parametrize("time", [0, START_S, 86_400 * 18_000], ids=["no times", "equal times", "whole days"])
def test_times_that_tell_nothing_give_a_seeded_random_split(time: int) -> None:
    """The highest movie ids are not held out more than others, and the order of rows makes no difference."""
    everything = ratings(*((user, movie, 4.0, time) for user in range(200) for movie in range(10)))
    _, test = split(everything)
    shuffled = everything.sample(frac=1, random_state=1)
    assert sorted(map(tuple, split(shuffled)[1].to_numpy())) == sorted(map(tuple, test.to_numpy()))
    assert (test.groupby("user_id").size() == 2).all()
    assert np.bincount(test["movie_id"], minlength=10).min() > 20
    assert not split(everything, seed=1)[1]["movie_id"].equals(test["movie_id"])


def test_whole_days_hold_out_the_last_day_at_random() -> None:
    """Days are in order; what was rated on one day is in none."""
    rows = [(user, movie, 4.0, 86_400 * (18_000 + movie // 5)) for user in range(100) for movie in range(10)]
    _, test = split(ratings(*rows))
    assert set(test["movie_id"]) == {5, 6, 7, 8, 9}


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([["", ""], ["", ""]], "all times are missing"),
        ([["5", "5"], ["5", "5"]], "all times are equal"),
        ([["1600000000", "1600000009"], ["0", "0"], ["1600000000", ""]], "only 1 of 3 users with several ratings"),
    ],
)
def test_times_are_not_usable_and_it_is_said(tmp_path: Path, times: list[list[str]], words: str) -> None:
    """The timestamps are 0 then, and nothing counts as later: there is no recency."""
    dataset = of_times(tmp_path, times)
    assert not dataset.times.usable
    assert words in dataset.times.words
    assert not dataset.ratings["timestamp"].any()
    assert dataset.understood is not None
    assert "random fifth" in dataset.understood.lines[3]
    assert not task_of(*split(dataset.ratings), 1.0).is_later


def test_without_a_column_of_times_the_split_is_random(tmp_path: Path) -> None:
    """A header nobody knows is named among the ignored columns."""
    text = "user,item,rating,gemerkt\n1,1,5,9\n1,2,4,8\n"
    dataset = read_folder(folder_of(tmp_path, {"ratings.csv": text}))
    assert not dataset.times.usable
    assert dataset.understood is not None
    assert dataset.understood.ignored == ("gemerkt",)
    assert "ignored: gemerkt" in dataset.understood.lines[0]


def test_times_of_a_part_of_the_users_split_those_in_time(tmp_path: Path) -> None:
    """The others, also those with a time for some of their ratings, have timestamps 0: a random split, no recency."""
    dataset = of_times(tmp_path, [["1600000000", "1600000009"], ["1600000009", "1600000000"], ["1600000000", ""]])
    assert dataset.times.usable
    assert dataset.times.num_users_without == 1
    assert dataset.ratings["timestamp"].tolist()[4:] == [0, 0]
    _, test = split(dataset.ratings)
    assert test[test["user_id"] < 2][["user_id", "movie_id"]].to_numpy().tolist() == [[0, 2], [1, 1]]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("1600000000", 1600000000),
        ("1600000000999", 1600000000),
        ("1600000000999999", 1600000000),
        ("1600000000999999999", 1600000000),
        ("1600000000.75", 1600000000),
        ("2020-09-13", 1599955200),
        ("2020-09-13T12:26:40.5", 1600000000),
        ("2020-09-13 14:26:40+02:00", 1600000000),
    ],
)
def test_forms_of_time(tmp_path: Path, time: str, seconds: int) -> None:
    """All become seconds."""
    dataset = of_times(tmp_path, [[time, "2021-01-01" if "-" in time else "1700000000"]])
    assert dataset.ratings["timestamp"].tolist()[0] == seconds


def test_counters_are_an_order_too(tmp_path: Path) -> None:
    """Exports that number a user's ratings from 0 have no missing times."""
    dataset = of_times(tmp_path, [["2", "0", "1"], ["0", "1", "2"]])
    assert dataset.times.usable
    assert split(dataset.ratings)[1]["movie_id"].tolist() == [1, 3]
