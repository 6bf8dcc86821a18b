"""Bad data are refused in one line that names the file, the line, what was expected and what came."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.folders import MOVIES, RATINGS, folder_with
from trainer.data.dataset import read_folder
from trainer.data.records import DataError


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ("a,b,stars\n1,10,4\n", "ratings.csv:1: expected a header with a user and a movie"),
        (RATINGS + "2,20,good,400\n", "ratings.csv:5: rating: expected a number, got 'good'"),
        (RATINGS + "2,20,,400\n", "ratings.csv:5: rating: expected a number, got ''"),
        (RATINGS + "2,20,nan,400\n", "ratings.csv:5: rating: expected a number, got 'nan'"),
        (RATINGS + "2,20,5.5,400\n", "ratings.csv:5: rating: expected 0.5 to 5, got '5.5'"),
        (RATINGS + "\n\n2,20,9,400\n", "ratings.csv:7: rating: expected 0.5 to 5, got '9'"),
        (RATINGS + '"2","20","9","400"\n', "ratings.csv:5: rating: expected 0.5 to 5, got '9'"),
        (RATINGS + "2,20,3\n", "ratings.csv:5: expected 4 fields (userId, movieId, rating, timestamp), got 3"),
        (RATINGS + "2,20,3,400,5\n", "ratings.csv:5: expected 4 fields (userId, movieId, rating, timestamp), got 5"),
        (RATINGS + "2,20,3,yesterday\n", "ratings.csv:5: timestamp: expected seconds or milliseconds since 1970"),
        (RATINGS + "2,20,3,1.6E+09\n", "ratings.csv:5: timestamp: expected a time in full"),
        ("userId,movieId,rating,timestamp\n", "ratings.csv: expected at least one rating; the file holds none"),
        ("userId,movieId,rating", "ratings.csv: expected at least one row below the header"),
        ("", "ratings.csv: expected a header and at least one rating; the file is empty"),
        ("userId,movieId,rating,Rating\n", "ratings.csv:1: expected one column for the rating, got"),
        ("user,user_id,movieId,rating,x,x\n1,7,10,3,,\n", None),
    ],
)  # fmt: skip
def test_refuses_bad_ratings_by_file_and_line(tmp_path: Path, ratings: str, message: str | None) -> None:
    """One line names the file, the line, what was expected and what came; two columns of a name that is not used are
    no fault."""
    folder = folder_with(tmp_path, ratings)
    if message is None:
        assert read_folder(folder).ratings["user_id"].tolist() == [7]
        return
    with pytest.raises(DataError) as error:
        read_folder(folder)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("movies", "message"),
    [
        (MOVIES + "-4,Ronin,\n", "movies.csv:5: movieId: expected an id of 0 or more, got '-4'"),
        (MOVIES + "40,Ronin\n", "movies.csv:5: expected 3 fields (movieId, title, genres), got 2"),
        (MOVIES.encode() + b"40,Caf\xe9,\n50,Caf\xc3\xa9,\n", "movies.csv:5: expected text in UTF-8, got byte 0xe9"),
        (MOVIES.encode() + b"40,Caf\xc3", "movies.csv:5: expected text in UTF-8, got byte 0xc3"),
        ("movieId,title,genres\n", "movies.csv: expected at least one movie"),
    ],
)
def test_refuses_bad_movies_by_file_and_line(tmp_path: Path, movies: str | bytes, message: str) -> None:
    """A wrong movie ends with an error that names the file and the line, as a wrong rating does."""
    with pytest.raises(DataError) as error:
        read_folder(folder_with(tmp_path, movies=movies))
    assert message in str(error.value)


def test_names_what_it_found_instead_of_ratings(tmp_path: Path) -> None:
    """A wrong folder, a file, and an empty folder are told apart."""
    with pytest.raises(DataError, match="found an empty folder"):
        read_folder(tmp_path)
    with pytest.raises(DataError, match="got no such folder"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "movies.csv").write_text(MOVIES)
    with pytest.raises(DataError, match=r"expected ratings in a \.csv.*; found movies\.csv"):
        read_folder(tmp_path)
    with pytest.raises(DataError, match="got a file: name the folder that holds it"):
        read_folder(tmp_path / "movies.csv")
