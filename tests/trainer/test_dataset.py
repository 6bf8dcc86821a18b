"""Ratings in the shapes people have them give one and the same data set."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.folders import MOVIES, RATINGS, folder_of, folder_with
from trainer.data.dataset import Reading, read_folder
from trainer.data.given_split import read_split
from trainer.data.ratings import RatingScale
from trainer.data.records import DataError

EXPECTED = {
    "user_id": [1, 1, 2],
    "movie_id": [10, 20, 10],
    "rating": [4.0, 3.5, 0.5],
    "timestamp": [1600000000, 1600000100, 1600000200],
}


def test_reads_csv_with_quotes_commas_and_accents(tmp_path: Path) -> None:
    """The form of MovieLens: types, titles, years and genres are as documented."""
    dataset = read_folder(folder_with(tmp_path))
    assert dataset.ratings.to_dict("list") == EXPECTED
    assert [str(t) for t in dataset.ratings.dtypes] == ["int32", "int32", "float32", "int32"]
    assert dataset.movies["title"].tolist() == ["Heat (1995)", 'Amélie, the "Fabulous" (2001)', "Solaris"]
    assert dataset.movies["year"].tolist() == [1995, 2001, 0]
    assert dataset.movies["genres"].tolist() == ["Action|Crime", "Comedy", ""]
    assert dataset.user_keys is None
    assert dataset.movie_keys is None
    assert dataset.times.usable


LINES = RATINGS.split("\n")
SHAPES: dict[str, dict[str, str | bytes]] = {
    "tabs": {"ratings.tsv": RATINGS.replace(",", "\t")},
    "bars": {"ratings.csv": RATINGS.replace(",", "|")},
    "semicolons and comma decimals": {"ratings.csv": RATINGS.replace(",", ";").replace(".", ",")},
    "spaces": {"ratings.txt": RATINGS.replace(",", " ")},
    "gzip": {"ratings.csv.gz": gzip.compress(RATINGS.encode())},
    "two gzip members": {"ratings.csv.gz": gzip.compress(RATINGS[:60].encode()) + gzip.compress(RATINGS[60:].encode())},
    "zstd": {"ratings.csv.zst": pa.compress(RATINGS.encode(), "zstd", asbytes=True)},
    "byte order mark": {"ratings.csv": b"\xef\xbb\xbf" + RATINGS.encode()},
    "utf-16": {"ratings.csv": RATINGS.encode("utf-16")},
    "windows line ends": {"ratings.csv": RATINGS.replace("\n", "\r\n")},
    "old mac line ends": {"ratings.csv": RATINGS.replace("\n", "\r")},
    "empty lines": {"ratings.csv": RATINGS.replace("\n", "\n\n")},
    "quoted": {"ratings.csv": "\n".join(",".join(f'"{f}"' for f in r.split(",")) for r in RATINGS.split("\n")[:-1])},
    "other names": {"ratings.csv": RATINGS.replace("userId,movieId,rating,timestamp", "User-ID,item_id,Score,ts")},
    "capitals": {"Ratings.CSV": RATINGS.upper()},
    "milliseconds": {"ratings.csv": RATINGS.replace("00\n", "00000\n")},
    "microseconds": {"ratings.csv": RATINGS.replace("00\n", "00000000\n")},
    "fractions of a second": {"ratings.csv": RATINGS.replace("00\n", "00.25\n")},
    "ids as 1.0": {"ratings.csv": RATINGS.replace("1,10", "1.0,10.0")},
    "another order": {"ratings.csv": "rating,timestamp,x,user,item\n4,1600000000,a,1,10\n3.5,1600000100,b,1,20\n"
                      ".5,1600000200,c,2,10\n"},
    "two files": {"part-1.csv": "\n".join(LINES[:3]), "part-2.csv": "\n".join((LINES[0], LINES[3]))},
    "dat": {"ratings.dat": "\ufeff1::10::4::1600000000\n1::20::3.5::1600000100\n2::10::.5::1600000200\n"},
    "100k": {"u.data": "1\t10\t4\t1600000000\n1\t20\t3.5\t1600000100\n2\t10\t.5\t1600000200\n"},
    "iso dates": {"ratings.csv": "userId,movieId,rating,date\n1,10,4,2020-09-13T12:26:40Z\n"
                  "1,20,3.5,2020-09-13 12:28:20\n2,10,.5,2020-09-13T14:30:00+02:00\n"},
}  # fmt: skip


@pytest.mark.parametrize("shape", list(SHAPES))
def test_other_shapes_hold_the_same_ratings(tmp_path: Path, shape: str) -> None:
    """Separators, compression, encodings, column names, units of time and files make no difference."""
    dataset = read_folder(folder_of(tmp_path, {**SHAPES[shape], "movies.csv": MOVIES}))
    assert dataset.ratings.to_dict("list") == EXPECTED


@pytest.mark.parametrize("kind", ["integers", "floats", "dictionary", "folder of parts"])
def test_parquet_holds_the_same_ratings(tmp_path: Path, kind: str) -> None:
    """Types of its own, such as timestamps in milliseconds, are understood."""
    users = pa.array([1, 1, 2], pa.float64() if kind == "floats" else pa.int64())
    stamps = pa.array([1600000000000, 1600000100000, 1600000200000], pa.timestamp("ms", "UTC"))
    columns = {"user": users, "item": pa.array([10, 20, 10], pa.int32()), "stars": [4.0, 3.5, 0.5], "time": stamps}
    table = pa.table(columns)
    if kind == "dictionary":
        table = table.set_column(1, "item", pa.array(["10", "20", "10"]).dictionary_encode())
    if kind == "folder of parts":
        (tmp_path / "ratings.parquet").mkdir()
        (tmp_path / "ratings.parquet" / "_SUCCESS").touch()
        pq.write_table(table[:2], tmp_path / "ratings.parquet" / "part-0.parquet")
        pq.write_table(table[2:], tmp_path / "ratings.parquet" / "part-1.parquet")
    else:
        pq.write_table(table, tmp_path / "ratings.parquet")
    folder_of(tmp_path, {"movies.csv": MOVIES})
    assert read_folder(tmp_path).ratings.to_dict("list") == EXPECTED


def test_columns_are_named_where_there_is_no_header(tmp_path: Path) -> None:
    """The first line is a rating, not a header."""
    folder = folder_of(tmp_path, {"ratings_Movies.csv": RATINGS.split("\n", 1)[1], "movies.csv": MOVIES})
    reading = Reading(columns=("user", "movie", "rating", "timestamp"))
    assert read_folder(folder, reading=reading).ratings.to_dict("list") == EXPECTED
    with pytest.raises(DataError, match=r"ratings_Movies\.csv:1: expected a header .* --columns user,movie"):
        read_folder(folder)


def test_reads_movielens_100k_and_1m_alike(tmp_path: Path) -> None:
    """Genres stand as 0/1 flags in one, at bars in the other; both are in Latin-1."""
    old, new = tmp_path / "100k", tmp_path / "1m"
    old.mkdir()
    new.mkdir()
    flags = {"Action": 1, "Crime": 6, "Comedy": 5}
    lines = [
        "|".join([movie, title, "01-Jan-1995", "", "", *("1" if i in on else "0" for i in range(19))])
        for movie, title, on in (
            ("10", "Heat (1995)", {flags["Action"], flags["Crime"]}),
            ("20", 'Amélie "x" (2001)', {flags["Comedy"]}),
        )
    ]
    folder_of(old, {"u.data": "1\t10\t4\t100\n1\t20\t3\t200\n", "u.item": "\n".join(lines).encode("latin-1")})
    titles = '10::Heat (1995)::Action|Crime\n20::Amélie "x" (2001)::Comedy\n'
    folder_of(new, {"ratings.dat": "1::10::4::100\n1::20::3::200\n", "movies.dat": titles.encode("latin-1")})
    first, second = read_folder(new), read_folder(old)
    assert first.ratings.equals(second.ratings)
    assert first.movies.equals(second.movies)
    assert first.movies["genres"].tolist() == ["Action|Crime", "Comedy"]
    folder_of(new, {"movies.dat": titles})  # ml-10m is UTF-8
    assert read_folder(new).movies.equals(second.movies)


@pytest.mark.parametrize(
    ("name", "header"), [("items", "item_id,name"), ("books", "book_id,Book-Title"), ("x", "id,title")]
)
def test_catalogues_have_names_of_their_own(tmp_path: Path, name: str, header: str) -> None:
    """A list of movies is told by its columns."""
    folder_of(tmp_path, {"ratings.csv": RATINGS, f"{name}.csv": f"{header}\n10,Heat\n20,Amélie\n"})
    assert read_folder(tmp_path).movies["title"].tolist() == ["Heat", "Amélie"]


def test_without_a_catalogue_movies_are_called_by_their_ids(tmp_path: Path) -> None:
    """Ratings alone are enough."""
    dataset = read_folder(folder_of(tmp_path, {"ratings.csv": RATINGS}))
    assert dataset.movies.to_dict("list") == {
        "movie_id": [10, 20],
        "title": ["10", "20"],
        "year": [0, 0],
        "genres": ["", ""],
    }


def test_other_tables_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    """Links and a table of who saw what hold users and movies too, but no ratings."""
    others = {"seen.csv": "userId,movieId,tag,timestamp\n1,10,x,5\n", "links.csv": "movieId,imdbId\n10,7\n"}
    dataset = read_folder(folder_of(tmp_path, {"my_votes.csv": RATINGS, "movies.csv": MOVIES, **others}))
    assert dataset.ratings.to_dict("list") == EXPECTED
    assert dataset.understood is not None
    assert set(dataset.understood.left_alone) == {"seen.csv", "links.csv"}


def test_tags_are_read_with_the_movies(tmp_path: Path) -> None:
    """Each movie has the tags that users gave it, each once. Tags of movies that are not listed are left out."""
    tags = 'userId,movieId,tag,timestamp\n1,10,odd,5\n2,10,"quite, odd",6\n3,10,odd,7\n1,77,even,8\n'
    dataset = read_folder(folder_of(tmp_path, {"ratings.csv": RATINGS, "movies.csv": MOVIES, "tags.csv": tags}))
    assert dataset.movies["movie_id"].tolist() == [10, 20, 30]
    assert dataset.movies["tags"].tolist() == ["odd quite, odd", "", ""]
    assert dataset.understood is not None
    assert "tags from tags.csv" in dataset.understood.lines[1]
    assert not dataset.understood.left_alone


def test_of_repeated_ratings_the_last_by_time_counts(tmp_path: Path) -> None:
    """Where times are equal, the later row counts."""
    more = "2,10,5,1600000100\n1,20,1,1600000100\n"
    dataset = read_folder(folder_with(tmp_path, RATINGS + more))
    assert dataset.ratings["rating"].tolist() == [4.0, 0.5, 1.0]
    assert dataset.understood is not None
    assert dataset.understood.num_duplicates == 2
    with pytest.raises(DataError, match=r"ratings\.csv:3: movieId: expected one rating per user and movie"):
        read_folder(tmp_path, reading=Reading(strict=True))


def test_ratings_of_unlisted_movies_are_counted_and_left_out(tmp_path: Path) -> None:
    """The rest is used; a strict reader refuses them, and nobody accepts a catalogue that lists no rated movie."""
    dataset = read_folder(folder_with(tmp_path, RATINGS + "2,77,3,1600000300\n"))
    assert dataset.ratings.to_dict("list") == EXPECTED
    assert dataset.understood is not None
    assert dataset.understood.num_orphans == 1
    with pytest.raises(DataError, match=r"ratings\.csv:5: movieId: expected a movie that the list of movies holds"):
        read_folder(tmp_path, reading=Reading(strict=True))
    folder_of(tmp_path, {"movies.csv": "movieId,title\n8,Other\n"})
    with pytest.raises(DataError, match=r"expected ids of movies that movies\.csv lists in its column movieId"):
        read_folder(tmp_path)


def test_movies_listed_twice_are_counted_and_the_first_counts(tmp_path: Path) -> None:
    """Public catalogues repeat themselves."""
    dataset = read_folder(folder_with(tmp_path, movies=MOVIES + "10,Heat again,\n"))
    assert dataset.movies["title"].tolist()[0] == "Heat (1995)"
    assert dataset.movies["movie_id"].is_unique
    assert dataset.understood is not None
    assert dataset.understood.num_listed_twice == 1


def test_an_encoding_that_is_not_utf8_is_recognised_and_said(tmp_path: Path) -> None:
    """Letters of a Western and of a Cyrillic encoding come out right."""
    western = "movieId,title\n10,Le goût des autres – café\n20,Über den Müll\n"
    dataset = read_folder(folder_with(tmp_path, movies=western.encode("cp1252")))
    assert dataset.movies["title"].tolist() == ["Le goût des autres – café", "Über den Müll"]
    assert dataset.understood is not None
    assert "cp1252, a guess" in dataset.understood.lines[1]
    cyrillic = "movieId,title\n10,Иван Васильевич меняет профессию\n20,Бриллиантовая рука\n"
    folder_with(tmp_path, movies=cyrillic.encode("cp1251"))
    assert read_folder(tmp_path).movies["title"].tolist() == ["Иван Васильевич меняет профессию", "Бриллиантовая рука"]


def test_accepts_another_scale_when_told_and_names_it_when_not(tmp_path: Path) -> None:
    """The message says how far the ratings go."""
    folder = folder_with(tmp_path, RATINGS + "2,20,-9,1600000300\n2,30,9,1600000300\n")
    assert read_folder(folder, reading=Reading(RatingScale(-10, 10))).ratings["rating"].min() == -9
    with pytest.raises(DataError, match=r"the ratings go from -9 to 9; --rating-scale LOW:HIGH"):
        read_folder(folder)


def test_files_of_a_split_share_their_text_ids(tmp_path: Path) -> None:
    """The same key is the same number in both parts, although each part has keys of its own."""
    folder_of(
        tmp_path, {"t.csv": "user,item,rating\nb,x,5\nc,y,4\nc,y,3\n", "e.csv": "user,item,rating\na,x,1\nc,z,2\n"}
    )
    train, test = read_split(tmp_path / "t.csv", tmp_path / "e.csv", None)
    assert train[["user_id", "movie_id", "rating"]].to_numpy().tolist() == [[1, 0, 5], [2, 1, 3]]
    assert test[["user_id", "movie_id"]].to_numpy().tolist() == [[0, 0], [2, 2]]
    assert np.dtype("int32") == train["user_id"].dtype
