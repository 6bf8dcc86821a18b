"""Genres, years and titles as people write them come out so that the service can read and filter them."""

from __future__ import annotations

import csv
import io
import string
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.release.v1.layout import CURRENT
from recommender_service.release_files import read_movies
from tests.support.folders import folder_of
from trainer.data.dataset import Dataset, read_folder
from trainer.data.genres import split_genres
from trainer.release.files import write_movie_table

RATINGS = "user,item,rating\n1,1,5\n2,2,3\n"


def with_movies(path: Path, movies: str) -> Dataset:
    return read_folder(folder_of(path, {"ratings.csv": RATINGS, "items.csv": movies}))


@pytest.mark.parametrize(
    ("texts", "genres"),
    [
        (["Action|Sci-Fi", "Drama"], ["Action|Sci-Fi", "Drama"]),
        (["Action, Comedy", "Comedy,Drama", "Action"], ["Action|Comedy", "Comedy|Drama", "Action"]),
        (["Action; Comedy", "Drama"], ["Action|Comedy", "Drama"]),
        (["Action & Adventure, Kids|Drama", "Drama|War"], ["Action & Adventure, Kids|Drama", "Drama|War"]),
        (['[{"id": 28, "name": "Action"}, {"id": 35, "name": "Comedy"}]', "[]"], ["Action|Comedy", ""]),
        (["[{'id': 28, 'name': \"Children's\"}]", "['Action', 'Drama']"], ["Children's", "Action|Drama"]),
        (["[Action, Comedy]", "['War']"], ["Action|Comedy", "War"]),
        (['["a|b"]', '["b"]'], ["a|b", "b"]),
        (["{'fiction': 12, 'poetry': 1}", "{}"], ["fiction|poetry", ""]),
        (["Drama", "drama", "drama|DRAMA|War"], ["drama", "drama", "drama|War"]),
        (["Drama", "drama"], ["Drama", "Drama"]),
        (["(no genres listed)", "\\N", "nan", " "], ["", "", "", ""]),
        ([" Action | | Comedy\r\nDrama "], ["Action|Comedy Drama"]),
        (["Long ago, in a land far away from here, a boy who knew nothing"], None),
    ],
)
def test_genres_are_split_and_spelt_one_way(texts: list[str], genres: list[str] | None) -> None:
    """Bars, commas, semicolons and lists are recognised where they are plausible; a sentence stays whole."""
    assert split_genres(texts)[0] == (genres if genres is not None else [text[:100] for text in texts])


def test_four_hundred_keywords_are_genres_too() -> None:
    """Nothing is dropped because there are many."""
    texts = [f"Invented keyword number {n} of many|Drama" for n in range(400)]
    assert split_genres(texts)[0] == texts


@pytest.mark.parametrize(
    ("header", "row", "year"),
    [
        ("item,title,year", "1,Item 1,1961", 1961),
        ("item,title,Year-Of-Publication", "1,Item 1,1961.0", 1961),
        ("item,title,year", "1,Item 1 (1950),", 1950),
        ("item,title,year", "1,Item 1 (1950),1961", 1961),
        ("item,title,year", "1,Item 1,next year", 0),
        ("item,title,release_date", "1,Item 1,1995-10-30", 1995),
        ("item,title,release_date", "1,Item 1,30/10/1995", 1995),
        ("item,title", "1,Firefly (2002–2003)", 2002),
    ],
)
def test_years_come_from_their_column_the_title_or_a_date(tmp_path: Path, header: str, row: str, year: int) -> None:
    """A column of years comes first, a date last."""
    assert with_movies(tmp_path, f"{header}\n{row}\n").movies["year"].tolist() == [year]


def test_control_characters_in_titles_become_spaces(tmp_path: Path) -> None:
    """A lone carriage return used to publish a release that the service refused for good."""
    dataset = with_movies(tmp_path, 'item,title,genre\n1,"Two\rlines\u2028and \x07more",Drama\n2,Plain,"Dra\nma"\n')
    assert dataset.movies["title"].tolist() == ["Two lines and  more", "Plain"]
    assert dataset.movies["genres"].tolist() == ["Drama", "Dra ma"]
    assert dataset.understood is not None
    assert dataset.understood.num_cleaned == 1
    assert "1 titles had control characters" in dataset.understood.lines[2]


def test_a_movie_without_a_title_is_called_by_its_id(tmp_path: Path) -> None:
    """An empty title would be invisible."""
    assert with_movies(tmp_path, "item,title\n1,\n2,Two\n").movies["title"].tolist() == ["1", "Two"]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
HOSTILE = st.one_of(TEXT, st.text(st.sampled_from("\r\n\t\"',;|[]{}():\u2028\u0085\ufeff\\ aé日"), max_size=30))
IDS = st.text(string.ascii_letters + string.digits + "-_.@ é日", min_size=1, max_size=20).filter(lambda s: s.strip())


@pytest.mark.slow
@settings(max_examples=150)
@given(st.dictionaries(IDS.map(lambda i: f"k{i}"), st.tuples(HOSTILE, HOSTILE), min_size=1, max_size=8))
def test_the_service_reads_whatever_is_published(movies: dict[str, tuple[str, str]]) -> None:
    """The table of movies, written as a release writes it, gives back the ids, titles and genres of the data set."""
    catalogue, ratings = io.StringIO(), io.StringIO()
    for file, header in ((catalogue, ["item", "title", "genres"]), (ratings, ["user", "item", "rating"])):
        csv.writer(file).writerow(header)
    csv.writer(catalogue, quoting=csv.QUOTE_ALL).writerows([key, *texts] for key, texts in movies.items())
    csv.writer(ratings).writerows([1, key, 5] for key in movies)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder_of(folder, {"ratings.csv": ratings.getvalue(), "items.csv": catalogue.getvalue()})
        dataset = read_folder(folder)
        assert dataset.movie_keys is not None
        keys = dataset.movie_keys[dataset.movies["movie_id"].to_numpy()]
        write_movie_table(dataset.movies.assign(popularity=1, key=keys), folder / "movies.csv")
        read, likes = read_movies(folder / "movies.csv", CURRENT)
    assert set(dataset.movie_keys) == {key.strip() for key in movies}
    assert [movie.key for movie in read] == keys.tolist()
    assert [movie.movie_id for movie in read] == dataset.movies["movie_id"].tolist()
    assert [movie.title for movie in read] == dataset.movies["title"].tolist()
    assert ["|".join(movie.genres) for movie in read] == dataset.movies["genres"].tolist()
    assert all(movie.title for movie in read)
    assert likes.tolist() == [1] * len(read)
