"""Recommend from movies that the caller names, and why each movie is recommended."""

from __future__ import annotations

import pytest

from protos.recommender.v1.recommender_pb2 import (
    SOURCE_FOLDED_IN,
    SOURCE_PERSONALIZED,
    SOURCE_POPULAR,
    RecommendRequest,
    RecommendResponse,
    ScoredMovie,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.errors import failure_of
from tests.support.releases import EVEN_USER, ODD_USER, UNKNOWN_MOVIE, UNKNOWN_USER, UNLIKED_MOVIE, USER_WITHOUT_LIKES


def ids(response: RecommendResponse) -> list[int]:
    return [scored.movie.movie_id for scored in response.movies]


def reasons(scored: ScoredMovie) -> list[int]:
    return [reason.because.movie_id for reason in scored.reasons]


@pytest.mark.parametrize("user_id", [0, UNKNOWN_USER])
def test_somebody_new_gets_movies_near_those_they_like(stub: RecommenderServiceStub, user_id: int) -> None:
    response = stub.Recommend(RecommendRequest(user_id=user_id, liked_movie_ids=[1, 3], limit=4))
    assert sorted(ids(response)) == [5, 7, 9, 11]
    assert response.source == SOURCE_FOLDED_IN
    even = stub.Recommend(RecommendRequest(user_id=user_id, liked_movie_ids=[2, 4], limit=4))
    assert sorted(ids(even)) == [6, 8, 10, 12]


def test_likes_are_a_set(stub: RecommenderServiceStub) -> None:
    first = stub.Recommend(RecommendRequest(liked_movie_ids=[1, 3, 3, 2]))
    second = stub.Recommend(RecommendRequest(liked_movie_ids=[2, 1, 3]))
    assert first == second


def test_a_known_users_own_likes_count_too(stub: RecommenderServiceStub) -> None:
    alone = stub.Recommend(RecommendRequest(liked_movie_ids=[1], limit=4))
    both = stub.Recommend(RecommendRequest(user_id=EVEN_USER, liked_movie_ids=[1], limit=12, explain=True))
    assert both.source == SOURCE_FOLDED_IN
    assert {movie_id % 2 for movie_id in ids(alone)} == {1}
    assert {movie_id % 2 for movie_id in ids(both)[:4]} == {0}  # theirs outnumber it
    assert set(reasons(both.movies[0])) == {1, 2, 8}
    assert not {1, 2, 3, 8} & set(ids(both))  # liked now, or watched


def test_liked_movies_never_come_back_even_if_watched_ones_may(stub: RecommenderServiceStub) -> None:
    request = RecommendRequest(user_id=EVEN_USER, liked_movie_ids=[4], include_watched=True, limit=500)
    assert sorted(ids(stub.Recommend(request))) == [1, 2, 3, *range(5, 13)]


def test_ids_without_effect_are_told_liked_ones_first(stub: RecommenderServiceStub) -> None:
    request = RecommendRequest(
        liked_movie_ids=[UNKNOWN_MOVIE, 2, UNLIKED_MOVIE], exclude_movie_ids=[777, UNKNOWN_MOVIE]
    )
    response = stub.Recommend(request)
    assert list(response.ignored_movie_ids) == [UNKNOWN_MOVIE, UNLIKED_MOVIE, 777]
    assert response.source == SOURCE_FOLDED_IN


@pytest.mark.parametrize(
    ("user_id", "source"),
    [(0, SOURCE_POPULAR), (UNKNOWN_USER, SOURCE_POPULAR), (EVEN_USER, SOURCE_PERSONALIZED)],
)
def test_likes_the_release_does_not_know_are_as_good_as_none(
    stub: RecommenderServiceStub, user_id: int, source: int
) -> None:
    response = stub.Recommend(RecommendRequest(user_id=user_id, liked_movie_ids=[UNKNOWN_MOVIE]))
    assert response.source == source
    assert list(response.ignored_movie_ids) == [UNKNOWN_MOVIE]


def test_a_known_user_without_likes_gets_a_taste(stub: RecommenderServiceStub) -> None:
    response = stub.Recommend(RecommendRequest(user_id=USER_WITHOUT_LIKES, liked_movie_ids=[6], limit=4))
    assert response.source == SOURCE_FOLDED_IN
    assert sorted(ids(response)) == [4, 8, 10, 12]  # 2 was watched


def test_reasons_are_the_nearest_liked_movies(stub: RecommenderServiceStub) -> None:
    response = stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=3, explain=True))
    assert [reasons(movie) for movie in response.movies] == [[2, 8], [8, 2], [8, 2]]  # of 4, 6 and 10; 3 was no like
    assert response.movies[0].reasons[0].similarity == pytest.approx(0.99939, abs=1e-4)  # cos 2°
    many = stub.Recommend(RecommendRequest(liked_movie_ids=[1, 2, 3, 4, 5], limit=3, explain=True))
    assert all(len(movie.reasons) == 3 for movie in many.movies)


def test_a_movie_is_no_reason_for_itself(stub: RecommenderServiceStub) -> None:
    request = RecommendRequest(user_id=EVEN_USER, limit=2, include_watched=True, explain=True)
    response = stub.Recommend(request)
    assert ids(response) == [2, 4]
    assert [reasons(movie) for movie in response.movies] == [[8], [2, 8]]


def test_reasons_are_given_only_when_asked_for_and_known(stub: RecommenderServiceStub) -> None:
    assert not any(movie.reasons for movie in stub.Recommend(RecommendRequest(user_id=ODD_USER)).movies)
    popular = stub.Recommend(RecommendRequest(user_id=UNKNOWN_USER, explain=True))
    assert not any(movie.reasons for movie in popular.movies)


@pytest.mark.parametrize(
    ("request_", "field", "problem"),
    [
        (RecommendRequest(), "user_id", "expected a positive id, got 0"),
        (
            RecommendRequest(user_id=-1, liked_movie_ids=[1]),
            "user_id",
            "expected a positive id, or 0 for an unknown user; got -1",
        ),
        (
            RecommendRequest(liked_movie_ids=range(1, 1002)),
            "liked_movie_ids",
            "expected at most 1000 ids, got 1001",
        ),
    ],
)
def test_bad_input_names_the_field_and_the_bound(
    stub: RecommenderServiceStub, request_: RecommendRequest, field: str, problem: str
) -> None:
    assert failure_of(lambda: stub.Recommend(request_)).violations == {field: problem}
