"""Recommend through the wire, on the checkerboard, whose right answers are known."""

from __future__ import annotations

import pytest

from protos.recommender.v1.recommender_pb2 import (
    SOURCE_PERSONALIZED,
    SOURCE_POPULAR,
    RecommendRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids
from tests.support.errors import failure_of
from tests.support.releases import EVEN_USER, ODD_USER, TITLES, UNKNOWN_MOVIE, UNKNOWN_USER, USER_WITHOUT_LIKES


def test_recommends_unwatched_movies_nearest_first(stub: RecommenderServiceStub) -> None:
    """A known user gets the unwatched movies nearest to their embedding."""
    response = stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=4))
    assert movie_ids(response) == [4, 6, 10, 12]  # 2, 3 and 8 are watched
    assert response.source == SOURCE_PERSONALIZED
    assert movie_ids(stub.Recommend(RecommendRequest(user_id=ODD_USER, limit=4))) == [3, 5, 7, 9]


def test_scores_are_cosines_and_descend(stub: RecommenderServiceStub) -> None:
    """A score is the cosine of user and movie, and the list descends by it."""
    scores = [m.score for m in stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=9)).movies]
    assert scores[0] == pytest.approx(0.99756, abs=1e-4)  # cos 4°
    assert scores == sorted(scores, reverse=True)


def test_a_large_limit_gives_everything_that_is_left(stub: RecommenderServiceStub) -> None:
    """A limit above the number of unwatched movies gives all of them."""
    assert movie_ids(stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=500))) == [4, 6, 10, 12, 11, 9, 7, 5, 1]


def test_ten_movies_are_the_default(stub: RecommenderServiceStub) -> None:
    """A request without a limit is answered with ten movies."""
    assert len(stub.Recommend(RecommendRequest(user_id=ODD_USER)).movies) == 10


def test_watched_movies_come_back_only_on_request(stub: RecommenderServiceStub) -> None:
    """With `include_watched` the answer may hold watched movies."""
    response = stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=3, include_watched=True))
    assert movie_ids(response) == [2, 4, 6]


def test_excluded_movies_do_not_shorten_the_list(stub: RecommenderServiceStub) -> None:
    """Further movies take the place of excluded ones, and unknown ids are listed."""
    request = RecommendRequest(user_id=EVEN_USER, limit=3, exclude_movie_ids=[4, UNKNOWN_MOVIE, 10, UNKNOWN_MOVIE, 777])
    response = stub.Recommend(request)
    assert movie_ids(response) == [6, 12, 11]
    assert list(response.ignored_movie_ids) == [UNKNOWN_MOVIE, 777]


def test_an_unknown_user_gets_the_most_popular_movies(stub: RecommenderServiceStub) -> None:
    """An unknown user gets the most liked movies, scored by the share of users who liked them."""
    response = stub.Recommend(RecommendRequest(user_id=UNKNOWN_USER, limit=4, exclude_movie_ids=[2]))
    assert response.source == SOURCE_POPULAR
    assert movie_ids(response) == [1, 8, 3, 4]  # two likes, two likes, then one each in order of ids
    assert [m.score for m in response.movies] == pytest.approx([2 / 5, 2 / 5, 1 / 5, 1 / 5])


def test_a_user_without_likes_gets_popular_movies(stub: RecommenderServiceStub) -> None:
    """A known user who liked nothing gets popular movies that they have not watched."""
    response = stub.Recommend(RecommendRequest(user_id=USER_WITHOUT_LIKES, limit=3))
    assert response.source == SOURCE_POPULAR
    assert movie_ids(response) == [1, 8, 3]  # 2 is as popular as 1 and 8, but watched


def test_titles_survive_commas_quotes_and_other_scripts(stub: RecommenderServiceStub) -> None:
    """Titles, years and genres arrive exactly as they were in the source."""
    response = stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=3, include_watched=True))
    assert [m.movie.title for m in response.movies] == [TITLES[2], TITLES[4], TITLES[6]]
    odd = stub.Recommend(RecommendRequest(user_id=ODD_USER, limit=1)).movies[0].movie
    assert (odd.year, list(odd.genres)) == (1993, ["Drama", "Comedy"])


@pytest.mark.parametrize(
    ("request_", "field", "problem"),
    [
        (RecommendRequest(), "user_id", "expected an id or user_key, or else movies that the user likes; got none"),
        (RecommendRequest(user_id=-7), "user_id", "expected an id of 0 or more, got -7"),
        (RecommendRequest(user_id=EVEN_USER, limit=-1), "limit", "expected 1 to 500, or 0 for 10; got -1"),
        (RecommendRequest(user_id=EVEN_USER, limit=501), "limit", "expected 1 to 500, or 0 for 10; got 501"),
        (
            RecommendRequest(user_id=EVEN_USER, exclude_movie_ids=range(10_001)),
            "exclude_movie_ids",
            "expected at most 10000 ids and keys, got 10001",
        ),
    ],
)
def test_a_bad_request_names_the_field_and_the_bound(
    stub: RecommenderServiceStub, request_: RecommendRequest, field: str, problem: str
) -> None:
    """A value out of bounds is INVALID_ARGUMENT with the field and the bound."""
    failure = failure_of(lambda: stub.Recommend(request_))
    assert failure.code == "INVALID_ARGUMENT"
    reason = "FIELD_MISSING" if request_ == RecommendRequest() else "OUT_OF_BOUNDS"
    assert (failure.reason, failure.domain, failure.retry_s) == (reason, "recommender.v1", None)
    assert failure.violations == {field: problem}
