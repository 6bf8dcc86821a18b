"""Data of every known layout are read alike, and bad data are refused by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.data.dataset import read_folder
from trainer.data.ratings import RatingScale
from trainer.data.records import DataError

RATINGS = "userId,movieId,rating,timestamp\n1,10,4.0,100\n1,20,3.5,200\n2,10,0.5,300\n"
MOVIES = 'movieId,title,genres\n10,Heat (1995),Action|Crime\n20,"Amélie, the ""Fabulous"" (2001)",Comedy\n30,Solaris,\n'


def folder_with(path: Path, ratings: str | bytes = RATINGS, movies: str | bytes = MOVIES) -> Path:
    for name, content in (("ratings.csv", ratings), ("movies.csv", movies)):
        (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_reads_csv_with_quotes_commas_and_accents(tmp_path: Path) -> None:
    dataset = read_folder(folder_with(tmp_path))
    assert dataset.ratings.to_dict("list") == {
        "user_id": [1, 1, 2],
        "movie_id": [10, 20, 10],
        "rating": [4.0, 3.5, 0.5],
        "timestamp": [100, 200, 300],
    }
    assert dataset.movies["title"].tolist() == ["Heat (1995)", 'Amélie, the "Fabulous" (2001)', "Solaris"]
    assert dataset.movies["year"].tolist() == [1995, 2001, 0]
    assert dataset.movies["genres"].tolist() == ["Action|Crime", "Comedy", ""]


def test_reads_the_layouts_of_movielens_1m_and_100k_like_csv(tmp_path: Path) -> None:
    one_million, hundred_thousand = tmp_path / "1m", tmp_path / "100k"
    one_million.mkdir()
    (one_million / "ratings.dat").write_text("1::10::4::100\n1::20::3::200\n")
    (one_million / "movies.dat").write_bytes(
        "10::Heat (1995)::Action|Crime\n20::Amélie (2001)::Comedy\n".encode("latin-1")
    )
    hundred_thousand.mkdir()
    (hundred_thousand / "u.data").write_text("1\t10\t4\t100\n1\t20\t3\t200\n")
    flags = {"Action": 1, "Crime": 6, "Comedy": 5}
    lines = [
        "|".join([movie, title, "01-Jan-1995", "", "", *("1" if i in on else "0" for i in range(19))])
        for movie, title, on in (
            ("10", "Heat (1995)", {flags["Action"], flags["Crime"]}),
            ("20", "Amélie (2001)", {flags["Comedy"]}),
        )
    ]
    (hundred_thousand / "u.item").write_bytes("\n".join(lines).encode("latin-1"))
    first, second = read_folder(one_million), read_folder(hundred_thousand)
    assert first.ratings.equals(second.ratings)
    assert first.movies.equals(second.movies)
    assert first.movies["title"].tolist() == ["Heat (1995)", "Amélie (2001)"]
    assert first.movies["genres"].tolist() == ["Action|Crime", "Comedy"]


def test_reads_ratings_without_timestamps_and_with_a_byte_order_mark(tmp_path: Path) -> None:
    ratings = "\ufeffuserId,movieId,rating\n1,10,4.0\n"
    assert read_folder(folder_with(tmp_path, ratings)).ratings["timestamp"].tolist() == [0]


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ("userId,movieId,stars\n1,10,4\n", "ratings.csv:1: expected the columns userId, movieId, rating"),
        (RATINGS + "2,20,good,400\n", "ratings.csv:5: rating: expected a number, got 'good'"),
        (RATINGS + "2,20,,400\n", "ratings.csv:5: rating: expected a number, got ''"),
        (RATINGS + "2,20,nan,400\n", "ratings.csv:5: rating: expected 0.5 to 5, got nan"),
        (RATINGS + "two,20,3,400\n", "ratings.csv:5: userId: expected a 64-bit integer, got 'two'"),
        (RATINGS + "2.5,20,3,400\n", "ratings.csv:5: userId: expected a 64-bit integer, got '2.5'"),
        (RATINGS + "99999999999999999999,20,3,400\n", "ratings.csv:5: userId: expected a 64-bit integer"),
        (RATINGS + "0,20,3,400\n", "ratings.csv:5: userId: expected a positive id, got 0"),
        (RATINGS + "2,20,5.5,400\n", "ratings.csv:5: rating: expected 0.5 to 5, got 5.5"),
        (RATINGS + "\n\n2,20,9,400\n", "ratings.csv:7: rating: expected 0.5 to 5, got 9"),
        (RATINGS + "2,20,3\n", "ratings.csv:5: expected 4 fields (userId, movieId, rating, timestamp), got 3"),
        (RATINGS + "2,20,3,400,5\n", "ratings.csv:5: expected 4 fields (userId, movieId, rating, timestamp), got 5"),
        (
            RATINGS + "1,20,3,400\n",
            "ratings.csv:5: expected one rating per user and movie; user 1 rated movie 20 before",
        ),
        (RATINGS + "2,77,3,400\n", "ratings.csv:5: movie 77 is rated, but movies.csv does not list it"),
        ("userId,movieId,rating,timestamp\n", "ratings.csv: expected at least one rating; the file holds none"),
        ("", "ratings.csv: expected a header and at least one rating; the file is empty"),
        (RATINGS.encode("utf-16"), "ratings.csv:1: expected text in UTF-8, got byte 0xff"),
    ],
)
def test_refuses_bad_ratings_by_file_and_line(tmp_path: Path, ratings: str | bytes, message: str) -> None:
    with pytest.raises(DataError) as error:
        read_folder(folder_with(tmp_path, ratings))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("movies", "message"),
    [
        ("id,name\n1,Heat\n", "movies.csv:1: expected the columns movieId, title"),
        (MOVIES + "x,Ronin,\n", "movies.csv:5: movieId: expected a positive 64-bit integer, got 'x'"),
        (MOVIES + "40,Ronin\n", "movies.csv:5: expected 3 fields (movieId, title, genres), got 2"),
        (MOVIES + "10,Heat again,\n", "movie 10 is listed twice"),
        (MOVIES.encode("latin-1"), "movies.csv:3: expected text in UTF-8, got byte 0xe9"),
        ("", "movies.csv:1: expected the columns movieId, title"),
        ("movieId,title,genres\n", "movies.csv: expected at least one movie"),
    ],
)
def test_refuses_bad_movies_by_file_and_line(tmp_path: Path, movies: str | bytes, message: str) -> None:
    with pytest.raises(DataError) as error:
        read_folder(folder_with(tmp_path, movies=movies))
    assert message in str(error.value)


def test_names_the_files_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected one of ratings\.csv \+ movies\.csv, .*; found an empty folder"):
        read_folder(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "ratings.csv").write_text(RATINGS)
    with pytest.raises(DataError, match=r"movies\.csv: expected this file beside ratings\.csv"):
        read_folder(tmp_path)


def test_accepts_another_scale_when_told(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, RATINGS + "2,20,9,400\n")
    assert read_folder(folder, scale=RatingScale(0, 10)).ratings["rating"].max() == 9
