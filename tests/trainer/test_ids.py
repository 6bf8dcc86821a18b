"""Ids are exact: whole numbers where every one is, else text, else a clear word."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.folders import folder_of
from trainer.data.dataset import Dataset, read_folder
from trainer.data.records import DataError


def with_users(path: Path, *users: str) -> Dataset:
    rows = "".join(f"{user},{at},5\n" for at, user in enumerate(users))
    return read_folder(folder_of(path, {"ratings.csv": f"user,item,rating\n{rows}"}))


@pytest.mark.parametrize(
    ("users", "ids"),
    [
        (["9007199254740993", "9007199254740992", "3.0"], [9007199254740993, 9007199254740992, 3]),  # above 2^53
        (["9223372036854775807", "0"], [9223372036854775807, 0]),
        (["3", "3.0", "3.", "+3", " 3 "], [3, 3, 3, 3, 3]),
    ],
)
def test_whole_numbers_stay_exact(tmp_path: Path, users: list[str], ids: list[int]) -> None:
    """`3.0` counts as 3 and turns nothing into floats; ids from 0 are allowed."""
    dataset = with_users(tmp_path, *users)
    assert dataset.ratings["user_id"].tolist() == ids
    assert dataset.user_keys is None


@pytest.mark.parametrize(
    "users",
    [
        ["0012345678", "12345678"],  # leading zeros
        ["9223372036854775808", "1"],  # larger than 64 bits
        ["B00YQ6X8EO", "1e5", "2.5"],  # letters, so that numbers are texts too
        ["a@example.org", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "日本", "😀"],
    ],
)
def test_other_ids_are_keys(tmp_path: Path, users: list[str]) -> None:
    """Keys are sorted and unique; ids are positions in them; nothing merges."""
    dataset = with_users(tmp_path, *users)
    assert dataset.user_keys is not None
    assert dataset.user_keys.dtype == object
    assert dataset.user_keys.tolist() == sorted(users)
    assert [dataset.user_keys[i] for i in dataset.ratings["user_id"]] == users
    assert dataset.ratings["user_id"].dtype == "int32"


@pytest.mark.parametrize(
    ("users", "message"),
    [
        (["1", "7.65612E+16"], "ratings.csv:3: user: expected an id in full (a spreadsheet"),
        (["1", "1e5"], "ratings.csv:3: user: expected an id in full"),
        (["014025448X", "9.78014E+12"], "ratings.csv:3: user: expected an id in full"),
        (["1", "2.5"], "ratings.csv:3: user: expected a whole id, got '2.5'"),
        (["0012", "13.0"], "ratings.csv:3: user: expected a whole id, got '13.0'"),
        (["1", "-2"], "ratings.csv:3: user: expected an id of 0 or more, got '-2'"),
        (["1", ""], "ratings.csv:3: user: expected an id, got ''"),
        (["1", "NaN"], "ratings.csv:3: user: expected an id, got 'NaN'"),
        (["a", "b\x07"], "ratings.csv:3: user: expected an id without control characters"),
        (["a", '"b\nc"'], "ratings.csv:3: user: expected an id without control characters"),
        (["a", "é" * 129], "ratings.csv:3: user: expected an id of at most 256 bytes"),
    ],
)
def test_ids_that_cannot_be_exact_are_refused_by_line(tmp_path: Path, users: list[str], message: str) -> None:
    """What a spreadsheet shortened cannot be guessed."""
    with pytest.raises(DataError) as error:
        with_users(tmp_path, *users)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_key_of_256_bytes_is_long_enough(tmp_path: Path) -> None:
    """The bound is inclusive, in bytes of UTF-8."""
    assert with_users(tmp_path, "é" * 128).user_keys is not None


def test_ratings_and_catalogue_agree_on_text(tmp_path: Path) -> None:
    """One id that is text makes all of them text, in both files; keys of unlisted movies are not kept."""
    files = {
        "ratings.csv": "user,item,rating\n1,7,5\n1,007,4\n1,99,3\n",
        "items.csv": "item,title\n7,Seven\nx,Ex\n007,Bond\n",
    }
    dataset = read_folder(folder_of(tmp_path, dict(files)))
    assert dataset.user_keys is None
    assert dataset.movie_keys is not None
    assert dataset.movie_keys.tolist() == ["007", "7", "x"]
    assert dataset.ratings["movie_id"].tolist() == [1, 0]
    assert dataset.movies["movie_id"].tolist() == [1, 2, 0]
    assert dataset.movies["title"].tolist() == ["Seven", "Ex", "Bond"]


def test_without_a_catalogue_titles_are_the_keys(tmp_path: Path) -> None:
    """A text id is the only name there is."""
    dataset = read_folder(folder_of(tmp_path, {"ratings.csv": "user,asin,rating\n1,B00,5\n2,A00,4\n"}))
    assert dataset.movies["title"].tolist() == ["A00", "B00"]
    assert dataset.movies["movie_id"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("users", "message"),
    [([1.0, 2.0**60], "expected a whole id"), ([1.5], "expected a whole id"), ([1, None], "an id")],
)
def test_parquet_ids_are_checked_alike(tmp_path: Path, users: list[float | None], message: str) -> None:
    """A float that may have been rounded, a fraction and a null are refused by row."""
    table = pa.table({"user": users, "item": range(len(users)), "rating": [5.0] * len(users)})
    pq.write_table(table, tmp_path / "ratings.parquet")
    with pytest.raises(DataError, match=rf"ratings\.parquet: row {len(users)}: user: .*{message}"):
        read_folder(tmp_path)
