"""SearchMovies through the wire, and the title index on titles as people misspell them."""

from __future__ import annotations

import numpy as np
import pytest

from protos.recommender.v1.recommender_pb2 import SearchMoviesRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from recommender_service.title_index import TitleIndex
from tests.support.errors import failure_of

TITLES = {  # title → number of likes
    "Matrix, The (1999)": 278,
    "Matrix Reloaded, The (2003)": 90,
    "Animatrix, The (2003)": 10,
    "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)": 120,
    "Star Wars: Episode IV - A New Hope (1977)": 251,
    "Star Wars: Episode VI - Return of the Jedi (1983)": 196,
    "Star Wars: The Clone Wars (2008)": 5,
    "Rocky (1976)": 60,
    "Rocky II (1979)": 20,
    "Rocky III (1982)": 15,
    "Spider-Man (2002)": 122,
    "Spider-Man 2 (2004)": 80,
    "1984 (Nineteen Eighty-Four) (1984)": 20,
    "Ghostbusters (a.k.a. Ghost Busters) (1984)": 120,
    "Godfather, The (1972)": 192,
    "Tokyo Godfathers (2003)": 3,
    "WALL·E (2008)": 104,
    "Ocean's Eleven (2001)": 119,
    "It (2017)": 8,
    "千と千尋の神隠し (2001)": 87,
    "Life Is Beautiful (La Vita è bella) (1997)": 88,
    "Heat (1995)": 102,
    "Łódka i Æther (1961)": 1,
    "Straße (1958)": 1,
    "Børning (2014)": 2,
    "Đorđe ışık Þór (2010)": 2,
    "霸王别姬 (1993)": 30,
    "ฉลาดเกมส์โกง (Bad Genius) (2017)": 7,
    "दंगल (Dangal) (2016)": 9,
}


@pytest.fixture(scope="module")
def index() -> TitleIndex:
    return TitleIndex(list(TITLES), [int(title[-5:-1]) for title in TITLES], np.array(list(TITLES.values())))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("matrix the", "Matrix, The (1999)"),
        ("the MATRIX", "Matrix, The (1999)"),
        ("matrx", "Matrix, The (1999)"),
        ("matrix reload", "Matrix Reloaded, The (2003)"),
        ("amelie", "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)"),
        ("Amélie", "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)"),
        ("le fabuleux destin d'amelie poulain", "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)"),
        ("star wars 1977", "Star Wars: Episode IV - A New Hope (1977)"),
        ("star wars 1983", "Star Wars: Episode VI - Return of the Jedi (1983)"),
        ("star wars", "Star Wars: Episode IV - A New Hope (1977)"),
        ("return jedi", "Star Wars: Episode VI - Return of the Jedi (1983)"),
        ("rocky 2", "Rocky II (1979)"),
        ("rocky", "Rocky (1976)"),
        ("spiderman", "Spider-Man (2002)"),
        ("spider man 2", "Spider-Man 2 (2004)"),
        ("1984", "1984 (Nineteen Eighty-Four) (1984)"),
        ("ghost busters", "Ghostbusters (a.k.a. Ghost Busters) (1984)"),
        ("godfther", "Godfather, The (1972)"),
        ("godfa", "Godfather, The (1972)"),
        ("walle", "WALL·E (2008)"),
        ("oceans eleven", "Ocean's Eleven (2001)"),
        ("it", "It (2017)"),
        ("千と千尋の神隠し", "千と千尋の神隠し (2001)"),
        ("la vita e bella", "Life Is Beautiful (La Vita è bella) (1997)"),
        ("lodka", "Łódka i Æther (1961)"),
        ("ŁÓDKA", "Łódka i Æther (1961)"),
        ("aether", "Łódka i Æther (1961)"),
        ("strasse", "Straße (1958)"),
        ("borning", "Børning (2014)"),
        ("dorde isik thor", "Đorđe ışık Þór (2010)"),
        ("千尋", "千と千尋の神隠し (2001)"),
        ("千尋の神隠し", "千と千尋の神隠し (2001)"),
        ("神", "千と千尋の神隠し (2001)"),
        ("别姬", "霸王别姬 (1993)"),
        ("เกมส์", "ฉลาดเกมส์โกง (Bad Genius) (2017)"),
        ("दंगल", "दंगल (Dangal) (2016)"),
    ],
)
def test_the_best_match_comes_first(index: TitleIndex, query: str, expected: str) -> None:
    """A careless query finds the movie that its author means."""
    assert list(TITLES)[index.search(query, 5)[0]] == expected


def test_a_query_near_no_title_finds_nothing(index: TitleIndex) -> None:
    """A query that resembles no title finds nothing, nor does any query without titles."""
    assert index.search("zzyzx qqq", 10) == []
    assert TitleIndex([], [], np.array([])).search("heat", 10) == []


def test_search_keeps_the_limit_and_repeats_nothing(index: TitleIndex) -> None:
    """A search gives at most `limit` movies, each once."""
    found = index.search("the", 500)
    assert len(found) == len(set(found)) > 1
    assert index.search("the", 1) == found[:1]


@pytest.mark.slow
def test_search_finds_movies_that_nobody_rated(stub: RecommenderServiceStub) -> None:
    """SearchMovies covers the whole catalogue and names the release."""
    response = stub.SearchMovies(SearchMoviesRequest(query="nobody came"))
    assert [movie.movie_id for movie in response.movies] == [99]
    assert list(response.movies[0].genres) == ["Western", "Romance"]
    assert response.release > 2 * 10**13
    assert len(stub.SearchMovies(SearchMoviesRequest(query="movie", limit=4)).movies) == 4
    assert not stub.SearchMovies(SearchMoviesRequest(query="zzyzx")).movies


@pytest.mark.parametrize(("query", "movie_id"), [("lodka", 9), ("aether", 9), ("神隠し", 6)])
def test_search_needs_no_foreign_keyboard(stub: RecommenderServiceStub, query: str, movie_id: int) -> None:
    """Plain letters find others, and a part of a title without spaces finds it."""
    assert [movie.movie_id for movie in stub.SearchMovies(SearchMoviesRequest(query=query)).movies] == [movie_id]


@pytest.mark.parametrize(
    ("request_", "field", "problem"),
    [
        (SearchMoviesRequest(), "query", "expected words of a title, got ''"),
        (SearchMoviesRequest(query=" ?! "), "query", "expected words of a title, got ' ?! '"),
        (SearchMoviesRequest(query="x" * 201), "query", "expected at most 200 characters, got 201"),
        (SearchMoviesRequest(query="x", limit=501), "limit", "expected 1 to 500, or 0 for 10; got 501"),
    ],
)
def test_a_bad_request_names_the_field_and_the_bound(
    stub: RecommenderServiceStub, request_: SearchMoviesRequest, field: str, problem: str
) -> None:
    """A query without words or too long, or a limit out of bounds, is an error of that field."""
    failure = failure_of(lambda: stub.SearchMovies(request_))
    assert failure.code == "INVALID_ARGUMENT"
    assert failure.violations == {field: problem}
