"""SimilarMovies through the wire, on the checkerboard."""

from __future__ import annotations

import pytest

from protos.recommender.v1.recommender_pb2 import (
    SIMILARITY_SOURCE_EMBEDDINGS,
    SIMILARITY_SOURCE_GENRES_AND_YEAR,
    MovieFilter,
    SimilarMoviesRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids
from tests.support.errors import failure_of
from tests.support.releases import TITLES, UNKNOWN_MOVIE, UNLIKED_MOVIE, UNRATED_MOVIE


def test_similar_movies_are_the_nearest_others(stub: RecommenderServiceStub) -> None:
    """The answer lists the nearest movies, without the movie itself."""
    response = stub.SimilarMovies(SimilarMoviesRequest(movie_id=2, limit=5))
    assert response.movie.title == TITLES[2]
    assert movie_ids(response) == [8, 10, 12, 4, 6]  # 4 and 6 come last because they have genres, but not that of 2
    scores = [scored.score for scored in response.movies]
    assert 1 > scores[0] > 0.9
    assert scores == sorted(scores, reverse=True)


def test_a_large_limit_gives_all_other_trained_movies(stub: RecommenderServiceStub) -> None:
    """A limit above the number of movies gives all others that have an embedding."""
    answer = movie_ids(stub.SimilarMovies(SimilarMoviesRequest(movie_id=12, limit=500)))
    assert sorted(answer) == list(range(1, 12))


def test_excluded_movies_do_not_shorten_the_list(stub: RecommenderServiceStub) -> None:
    """Further movies take the place of excluded ones."""
    request = SimilarMoviesRequest(movie_id=2, limit=3, exclude_movie_ids=[4, 8, UNKNOWN_MOVIE])
    assert movie_ids(stub.SimilarMovies(request)) == [10, 12, 6]


def test_an_unliked_movie_is_compared_by_genres_and_year(stub: RecommenderServiceStub) -> None:
    """A movie that nobody liked has neighbours by genres and year, and the answer says so."""
    response = stub.SimilarMovies(SimilarMoviesRequest(movie_id=UNRATED_MOVIE, limit=3))
    assert response.source == SIMILARITY_SOURCE_GENRES_AND_YEAR
    assert response.movie.title == TITLES[UNRATED_MOVIE]  # Western and Romance, 2020
    assert movie_ids(response)[:2] == [2, 4]  # Western; Romance and Comedy


def test_a_movie_without_genres_and_likes_has_neighbours(
    stub: RecommenderServiceStub,
) -> None:
    """A movie of which nothing is known still gets as many movies as asked for."""
    response = stub.SimilarMovies(SimilarMoviesRequest(movie_id=UNLIKED_MOVIE, limit=500, exclude_movie_ids=[3]))
    assert sorted(movie_ids(response)) == [movie for movie in range(1, 13) if movie != 3]
    assert response.source == SIMILARITY_SOURCE_GENRES_AND_YEAR


def test_a_filter_does_not_shorten_the_list(stub: RecommenderServiceStub) -> None:
    """Further movies take the place of those that do not pass the filter."""
    request = SimilarMoviesRequest(movie_id=2, limit=3, filter=MovieFilter(genres=["drama"]))
    response = stub.SimilarMovies(request)
    assert movie_ids(response) == [1, 3, 5]
    assert response.source == SIMILARITY_SOURCE_EMBEDDINGS


@pytest.mark.parametrize(
    ("movie_id", "code", "reason"),
    [
        (UNKNOWN_MOVIE, "NOT_FOUND", "UNKNOWN_MOVIE"),
        (0, "NOT_FOUND", "UNKNOWN_MOVIE"),
        (-1, "INVALID_ARGUMENT", "OUT_OF_BOUNDS"),
    ],
)
def test_a_wrong_movie_id_is_refused_with_a_reason(
    stub: RecommenderServiceStub, movie_id: int, code: str, reason: str
) -> None:
    """An unknown movie is NOT_FOUND, also with the id 0, and a negative id is INVALID_ARGUMENT."""
    failure = failure_of(lambda: stub.SimilarMovies(SimilarMoviesRequest(movie_id=movie_id)))
    assert (failure.code, failure.reason) == (code, reason)
    assert failure.metadata.get("movie_id", "-1") == str(movie_id)
