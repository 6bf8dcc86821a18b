"""What ratings say: stars on a scale, or only that something was seen; and what counts as liked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.folders import folder_of
from trainer.cli.arguments import parse_arguments
from trainer.data.dataset import Dataset, Reading, read_folder
from trainer.data.ratings import FIVE_STARS, RatingScale, default_positive_threshold
from trainer.data.records import DataError


def read(path: Path, ratings: str, scale: RatingScale = FIVE_STARS) -> Dataset:
    return read_folder(folder_of(path, {"ratings.csv": ratings}), reading=Reading(scale))


@pytest.mark.parametrize(
    ("stars", "scale", "threshold"),
    [
        ([0.5, 3, 5], FIVE_STARS, 3.5),  # MovieLens: half stars count from none at all
        ([1, 3, 5], RatingScale(1, 5), 3.5),
        ([3, 4, 5], FIVE_STARS, 3),  # filtered to positives already
        ([1, 1, 1], FIVE_STARS, 1),  # implicit feedback: one value for "did"
        ([2, 8, 10], RatingScale(1, 10), 7),
        ([-9, 0, 9], RatingScale(-10, 10), 4),
        ([-1, -3, -9], RatingScale(-10, -1), -3.7),
        ([0, 1], RatingScale(0, 1), 0.7),
        ([1, np.nan, 8], RatingScale(1, 10), 7),  # seen, not rated
    ],
)  # fmt: skip
def test_the_threshold_is_a_share_of_the_range(stars: list[float], scale: RatingScale, threshold: float) -> None:
    """Seven tenths of the way from 0, or from a lowest rating below 0, to the highest."""
    frame = pd.DataFrame({"rating": stars})
    assert default_positive_threshold(frame, scale) == pytest.approx(threshold)


@pytest.mark.parametrize("seen", ["0", "-1"])
def test_zero_and_minus_one_below_the_scale_mean_seen(tmp_path: Path, seen: str) -> None:
    """Book-Crossing and anime lists write so; it is no dislike."""
    dataset = read(tmp_path, f"user,item,rating\n1,1,{seen}\n1,2,8\n2,1,3\n", RatingScale(1, 10))
    assert dataset.ratings["rating"].isna().tolist() == [True, False, False]
    assert dataset.understood is not None
    assert dataset.understood.num_seen == 1
    assert not dataset.understood.implicit


def test_many_zeros_on_a_scale_from_zero_are_pointed_out(tmp_path: Path) -> None:
    """Somebody who names the scale 0:10 may not know that 0 means seen."""
    dataset = read(tmp_path, "user,item,rating\n1,1,0\n1,2,8\n2,1,3\n", RatingScale(0, 10))
    assert dataset.understood is not None
    assert "if 0 means seen but not rated: --rating-scale 1:10" in dataset.understood.lines[2]


@pytest.mark.parametrize(
    "text",
    [
        "user,item\n1,1\n1,2\n2,1\n",
        "user,item,plays\n1,1,17\n1,2,3000\n2,1,1\n",
        "user,item,rating\n1,1,0\n1,2,0\n2,1,-1\n",
    ],
)
def test_implicit_feedback_counts_alike(tmp_path: Path, text: str) -> None:
    """Without ratings, with counts, or with "seen" only, everything somebody did is a like."""
    dataset = read(tmp_path, text)
    assert dataset.ratings["rating"].tolist() == [1, 1, 1]
    assert dataset.understood is not None
    assert dataset.understood.implicit
    assert default_positive_threshold(dataset.ratings) == 1


def test_a_count_of_zero_is_seen_and_a_negative_one_is_refused(tmp_path: Path) -> None:
    """Nobody plays a song less than never."""
    assert read(tmp_path, "user,item,plays\n1,1,0\n1,2,3\n").ratings["rating"].isna().tolist() == [True, False]
    with pytest.raises(DataError, match=r"ratings\.csv:3: plays: expected a count of 0 or more, got '-3'"):
        read(tmp_path, "user,item,plays\n1,1,0\n1,2,-3\n")


@pytest.mark.parametrize("words", [["--rating-scale", "-10:10"], ["--rating-scale=-10:10"]])
def test_a_scale_may_begin_with_a_minus(words: list[str]) -> None:
    """argparse would take -10:10 for a flag."""
    assert parse_arguments(["train", *words]).rating_scale == RatingScale(-10, 10)


@pytest.mark.parametrize("text", ["5", "5:1", "a:b", "nan:5", "0:inf", ""])
def test_a_wrong_scale_ends_with_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message shows the form."""
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["train", f"--rating-scale={text}"])
    assert ended.value.code == 2
    assert "expected LOW:HIGH such as 0.5:5" in capsys.readouterr().err
