"""SimilarMovies through the wire, on the checkerboard."""

from __future__ import annotations

import pytest

from protos.recommender.v1.recommender_pb2 import (
    SIMILARITY_SOURCE_EMBEDDINGS,
    SIMILARITY_SOURCE_GENRES_AND_YEAR,
    MovieFilter,
    SimilarMoviesRequest,
    SimilarMoviesResponse,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.errors import failure_of
from tests.support.releases import TITLES, UNKNOWN_MOVIE, UNLIKED_MOVIE, UNRATED_MOVIE


def ids(response: SimilarMoviesResponse) -> list[int]:
    return [scored.movie.movie_id for scored in response.movies]


def test_neighbours_come_nearest_first_and_never_the_movie_itself(stub: RecommenderServiceStub) -> None:
    response = stub.SimilarMovies(SimilarMoviesRequest(movie_id=2, limit=5))
    assert response.movie.title == TITLES[2]
    assert ids(response) == [8, 10, 12, 4, 6]  # 4 and 6 have a genre, but not that of 2
    scores = [scored.score for scored in response.movies]
    assert 1 > scores[0] > 0.9
    assert scores == sorted(scores, reverse=True)


def test_asking_for_more_gives_all_the_others(stub: RecommenderServiceStub) -> None:
    answer = ids(stub.SimilarMovies(SimilarMoviesRequest(movie_id=12, limit=500)))
    assert sorted(answer) == list(range(1, 12))


def test_excluded_movies_do_not_shorten_the_list(stub: RecommenderServiceStub) -> None:
    request = SimilarMoviesRequest(movie_id=2, limit=3, exclude_movie_ids=[4, 8, UNKNOWN_MOVIE])
    assert ids(stub.SimilarMovies(request)) == [10, 12, 6]


def test_a_movie_that_nobody_liked_is_compared_by_genres_and_year_and_says_so(stub: RecommenderServiceStub) -> None:
    response = stub.SimilarMovies(SimilarMoviesRequest(movie_id=UNRATED_MOVIE, limit=3))
    assert response.source == SIMILARITY_SOURCE_GENRES_AND_YEAR
    assert response.movie.title == TITLES[UNRATED_MOVIE]  # Western and Romance, 2020
    assert ids(response)[:2] == [2, 4]  # Western; Romance and Comedy


def test_even_a_movie_without_genres_and_likes_has_as_many_neighbours_as_asked_for(
    stub: RecommenderServiceStub,
) -> None:
    response = stub.SimilarMovies(SimilarMoviesRequest(movie_id=UNLIKED_MOVIE, limit=500, exclude_movie_ids=[3]))
    assert sorted(ids(response)) == [movie for movie in range(1, 13) if movie != 3]
    assert response.source == SIMILARITY_SOURCE_GENRES_AND_YEAR


def test_a_filter_does_not_shorten_the_list(stub: RecommenderServiceStub) -> None:
    request = SimilarMoviesRequest(movie_id=2, limit=3, filter=MovieFilter(genres=["drama"]))
    response = stub.SimilarMovies(request)
    assert ids(response) == [1, 3, 5]
    assert response.source == SIMILARITY_SOURCE_EMBEDDINGS


@pytest.mark.parametrize(
    ("movie_id", "code", "reason"),
    [
        (UNKNOWN_MOVIE, "NOT_FOUND", "UNKNOWN_MOVIE"),
        (0, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ],
)
def test_a_movie_that_cannot_be_compared_is_refused_with_a_reason(
    stub: RecommenderServiceStub, movie_id: int, code: str, reason: str
) -> None:
    failure = failure_of(lambda: stub.SimilarMovies(SimilarMoviesRequest(movie_id=movie_id)))
    assert (failure.code, failure.reason) == (code, reason)
    assert failure.metadata.get("movie_id", "0") == str(movie_id)
