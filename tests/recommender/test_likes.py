"""Recommend for liked movies that the request names, and the reasons it gives, on the checkerboard."""

from __future__ import annotations

import pytest

from protos.recommender.v1.recommender_pb2 import (
    SOURCE_FOLDED_IN,
    SOURCE_PERSONALIZED,
    SOURCE_POPULAR,
    RecommendRequest,
    ScoredMovie,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids
from tests.support.errors import failure_of
from tests.support.releases import EVEN_USER, ODD_USER, UNKNOWN_MOVIE, UNKNOWN_USER, UNLIKED_MOVIE, USER_WITHOUT_LIKES


def reasons(scored: ScoredMovie) -> list[int]:
    """The ids of the movies that are named as reasons."""
    return [reason.because.movie_id for reason in scored.reasons]


@pytest.mark.parametrize("user_id", [0, UNKNOWN_USER])
def test_liked_movies_alone_lead_to_movies_near_them(stub: RecommenderServiceStub, user_id: int) -> None:
    """Somebody unknown who names liked movies gets their unseen neighbours."""
    response = stub.Recommend(RecommendRequest(user_id=user_id, liked_movie_ids=[1, 3], limit=4))
    assert sorted(movie_ids(response)) == [5, 7, 9, 11]
    assert response.source == SOURCE_FOLDED_IN
    even = stub.Recommend(RecommendRequest(user_id=user_id, liked_movie_ids=[2, 4], limit=4))
    assert sorted(movie_ids(even)) == [6, 8, 10, 12]


def test_likes_are_a_set(stub: RecommenderServiceStub) -> None:
    """The order and repetition of liked movies do not change the answer."""
    first = stub.Recommend(RecommendRequest(liked_movie_ids=[1, 3, 3, 2]))
    second = stub.Recommend(RecommendRequest(liked_movie_ids=[2, 1, 3]))
    assert first == second


def test_liked_movies_add_to_what_a_known_user_liked(stub: RecommenderServiceStub) -> None:
    """For a known user the named movies count together with those of the ratings."""
    alone = stub.Recommend(RecommendRequest(liked_movie_ids=[1], limit=4))
    both = stub.Recommend(RecommendRequest(user_id=EVEN_USER, liked_movie_ids=[1], limit=12, explain=True))
    assert both.source == SOURCE_FOLDED_IN
    assert {movie_id % 2 for movie_id in movie_ids(alone)} == {1}
    assert {movie_id % 2 for movie_id in movie_ids(both)[:4]} == {
        0
    }  # the movies of the ratings outnumber the named one
    assert set(reasons(both.movies[0])) == {1, 2, 8}
    assert not {1, 2, 3, 8} & set(movie_ids(both))  # liked now, or watched


def test_liked_movies_are_never_recommended_back(stub: RecommenderServiceStub) -> None:
    """Named movies stay out of the answer even if it may include watched ones."""
    request = RecommendRequest(user_id=EVEN_USER, liked_movie_ids=[4], include_watched=True, limit=500)
    assert sorted(movie_ids(stub.Recommend(request))) == [1, 2, 3, *range(5, 13)]


def test_ids_without_effect_are_listed_in_the_answer(stub: RecommenderServiceStub) -> None:
    """Unknown ids, and liked movies without an embedding, are listed, liked ones first."""
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
def test_liked_movies_unknown_to_the_release_do_not_count(
    stub: RecommenderServiceStub, user_id: int, source: int
) -> None:
    """If the release knows none of the liked movies, the answer is as if none had been named."""
    response = stub.Recommend(RecommendRequest(user_id=user_id, liked_movie_ids=[UNKNOWN_MOVIE]))
    assert response.source == source
    assert list(response.ignored_movie_ids) == [UNKNOWN_MOVIE]


def test_liked_movies_suffice_for_a_user_without_likes(stub: RecommenderServiceStub) -> None:
    """A known user who liked nothing gets recommendations from the movies named in the request."""
    response = stub.Recommend(RecommendRequest(user_id=USER_WITHOUT_LIKES, liked_movie_ids=[6], limit=4))
    assert response.source == SOURCE_FOLDED_IN
    assert sorted(movie_ids(response)) == [4, 8, 10, 12]  # 2 was watched


def test_reasons_are_the_nearest_liked_movies(stub: RecommenderServiceStub) -> None:
    """With `explain` each movie has up to three liked movies, nearest first, with their cosines."""
    response = stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=3, explain=True))
    # These are the reasons for 4, 6 and 10. The user watched 3 too, but did not like it.
    assert [reasons(movie) for movie in response.movies] == [[2, 8], [8, 2], [8, 2]]
    assert response.movies[0].reasons[0].similarity == pytest.approx(0.99939, abs=1e-4)  # cos 2°
    many = stub.Recommend(RecommendRequest(liked_movie_ids=[1, 2, 3, 4, 5], limit=3, explain=True))
    assert all(len(movie.reasons) == 3 for movie in many.movies)


def test_a_movie_is_no_reason_for_itself(stub: RecommenderServiceStub) -> None:
    """A watched movie that is recommended back is not among its own reasons."""
    request = RecommendRequest(user_id=EVEN_USER, limit=2, include_watched=True, explain=True)
    response = stub.Recommend(request)
    assert movie_ids(response) == [2, 4]
    assert [reasons(movie) for movie in response.movies] == [[8], [2, 8]]


def test_reasons_are_given_only_when_asked_for_and_known(stub: RecommenderServiceStub) -> None:
    """There are no reasons without `explain`, and none for popular movies."""
    assert not any(movie.reasons for movie in stub.Recommend(RecommendRequest(user_id=ODD_USER)).movies)
    popular = stub.Recommend(RecommendRequest(user_id=UNKNOWN_USER, explain=True))
    assert not any(movie.reasons for movie in popular.movies)


@pytest.mark.parametrize(
    ("request_", "field", "problem"),
    [
        (RecommendRequest(), "user_id", "expected an id or user_key, or else movies that the user likes; got none"),
        (
            RecommendRequest(user_id=-1, liked_movie_ids=[1]),
            "user_id",
            "expected an id of 0 or more, got -1",
        ),
        (
            RecommendRequest(liked_movie_ids=range(1, 1002)),
            "liked_movie_ids",
            "expected at most 1000 ids and keys, got 1001",
        ),
    ],
)
def test_a_bad_request_names_the_field_and_the_bound(
    stub: RecommenderServiceStub, request_: RecommendRequest, field: str, problem: str
) -> None:
    """A wrong user id or too many liked movies are an error of that field."""
    assert failure_of(lambda: stub.Recommend(request_)).violations == {field: problem}
