"""Filters by genre and year, on the checkerboard."""

from __future__ import annotations

import pytest

from protos.recommender.v1.recommender_pb2 import (
    ListGenresRequest,
    MovieFilter,
    RecommendRequest,
    SimilarMoviesRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids
from tests.support.errors import failure_of
from tests.support.releases import EVEN_USER, UNKNOWN_USER


@pytest.mark.parametrize(
    ("movie_filter", "expected"),
    [
        (MovieFilter(), [4, 6, 10, 12, 11, 9, 7, 5, 1]),
        (MovieFilter(genres=["Comedy"]), [4, 11, 9, 7, 5, 1]),
        (MovieFilter(genres=["romance", "ANIMATION"]), [4, 6]),
        (MovieFilter(genres=["Comedy"], exclude_genres=["Drama"]), [4]),
        (MovieFilter(exclude_genres=["Drama"]), [4, 6, 10, 12]),
        (MovieFilter(min_year=2001), [4, 6, 12, 11]),
        (MovieFilter(max_year=1997), [7, 5, 1]),
        (MovieFilter(min_year=1997, max_year=1999), [9, 7]),
        (MovieFilter(genres=["Western"]), []),
    ],
)
def test_a_filter_keeps_all_movies_that_qualify(
    stub: RecommenderServiceStub, movie_filter: MovieFilter, expected: list[int]
) -> None:
    """The answer holds exactly the movies that pass the filter, nearest first."""
    response = stub.Recommend(RecommendRequest(user_id=EVEN_USER, filter=movie_filter, limit=500))
    assert movie_ids(response) == expected


def test_popular_movies_are_filtered_too(stub: RecommenderServiceStub) -> None:
    """The filter applies to the popular movies that an unknown user gets."""
    request = RecommendRequest(user_id=UNKNOWN_USER, filter=MovieFilter(genres=["Drama"], min_year=1995), limit=2)
    assert movie_ids(stub.Recommend(request)) == [5, 7]


def test_the_genres_are_listed_with_their_movies(stub: RecommenderServiceStub) -> None:
    """ListGenres names each genre of the release once, in alphabetical order, and the number of its movies."""
    answer = stub.ListGenres(ListGenresRequest())
    counts = {genre.name: genre.num_movies for genre in answer.genres}
    assert list(counts.items()) == [("Animation", 1), ("Comedy", 7), ("Drama", 6), ("Romance", 2), ("Western", 2)]
    assert answer.release == stub.Recommend(RecommendRequest(user_id=EVEN_USER)).release


@pytest.mark.parametrize(
    ("movie_filter", "field", "problem"),
    [
        (
            MovieFilter(genres=["Drama", "Sci-Fi"]),
            "filter.genres",
            "expected some of Animation, Comedy, Drama, Romance, Western; got 'Sci-Fi'",
        ),
        (
            MovieFilter(exclude_genres=[""]),
            "filter.exclude_genres",
            "expected some of Animation, Comedy, Drama, Romance, Western; got ''",
        ),
        (MovieFilter(min_year=-1), "filter.min_year", "expected a year, or 0 for any; got -1"),
        (
            MovieFilter(min_year=2000, max_year=1999),
            "filter.max_year",
            "expected at least min_year, 2000, or 0 for any; got 1999",
        ),
    ],
)
def test_a_wrong_filter_names_the_field(
    stub: RecommenderServiceStub, movie_filter: MovieFilter, field: str, problem: str
) -> None:
    """A wrong filter is INVALID_ARGUMENT, and the message lists the genres of the release."""
    for failure in (
        failure_of(lambda: stub.Recommend(RecommendRequest(user_id=EVEN_USER, filter=movie_filter))),
        failure_of(lambda: stub.SimilarMovies(SimilarMoviesRequest(movie_id=2, filter=movie_filter))),
    ):
        assert failure.code == "INVALID_ARGUMENT"
        assert failure.reason == ("UNKNOWN_GENRE" if "genres" in field else "OUT_OF_BOUNDS")
        assert failure.violations == {field: problem}
