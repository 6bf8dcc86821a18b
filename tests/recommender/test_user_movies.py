"""ListUserMovies: what users have liked, watched and hidden, by the release and by events."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.errors import failure_of
from tests.support.events import HIDDEN, RATED, REMOVED, WATCHED, event, record
from tests.support.releases import (
    EVEN_USER,
    UNKNOWN_USER,
    UNLIKED_MOVIE,
    UNRATED_MOVIE,
    USER_WITHOUT_LIKES,
)


@pytest.fixture(scope="module")
def with_events(events_address: str) -> Iterator[RecommenderServiceStub]:
    with grpc.insecure_channel(events_address) as channel:
        yield RecommenderServiceStub(channel)


def movies_of(stub: RecommenderServiceStub, user_id: int) -> list[tuple[int, str]]:
    """(id, what the user did) in the order of the list."""
    answer = stub.ListUserMovies(api.ListUserMoviesRequest(user_id=user_id, limit=500), timeout=60)
    did = [[kind for kind in ("liked", "watched", "hidden") if getattr(one, kind)] for one in answer.movies]
    assert sum("liked" in one for one in did) == answer.num_liked
    assert sum("watched" in one for one in did) == answer.num_watched
    assert sum("hidden" in one for one in did) == answer.num_hidden
    return [(one.movie.movie_id, " ".join(kinds)) for one, kinds in zip(answer.movies, did, strict=True)]


def test_liked_movies_come_before_watched_ones(stub: RecommenderServiceStub) -> None:
    """Liked movies begin with those in the middle of the user's taste; movies without an embedding come last."""
    liked = [(movie, "liked watched") for movie in (6, 8, 4, 10, 2, 12)]  # at 7°, the mean of 2° to 12°
    assert sorted(movies_of(stub, 20)[:2]) == liked[:2]
    assert sorted(movies_of(stub, 20)) == sorted(liked)
    assert movies_of(stub, EVEN_USER) == [(2, "liked watched"), (8, "liked watched"), (3, "watched")]
    assert movies_of(stub, USER_WITHOUT_LIKES) == [(2, "watched"), (UNLIKED_MOVIE, "watched")]
    assert movies_of(stub, UNKNOWN_USER) == []


def test_pages_hold_each_movie_once(stub: RecommenderServiceStub) -> None:
    """Pages of any length make up the whole list in its order, and the last one says so."""
    for user in (20, EVEN_USER, USER_WITHOUT_LIKES, UNKNOWN_USER):
        whole = [movie for movie, _ in movies_of(stub, user)]
        for limit in (1, 2, 4):
            request, found = api.ListUserMoviesRequest(user_id=user, limit=limit, page_token=""), list[int]()
            while True:
                page = stub.ListUserMovies(request)
                found += [one.movie.movie_id for one in page.movies]
                request.page_token = page.next_page_token
                if not page.next_page_token:
                    break
            assert found == whole
    assert not stub.ListUserMovies(api.ListUserMoviesRequest(user_id=20, limit=1)).next_page_token


def test_events_change_the_list_at_once(with_events: RecommenderServiceStub) -> None:
    """A rating, a watched and a hidden movie appear; what is taken back disappears, from the release's ratings too."""
    user = 777_001
    record(with_events, event(user, 4, RATED, 5.0), event(user, 2, RATED, 1.0), event(user, 6, HIDDEN))
    record(with_events, event(user, UNRATED_MOVIE, WATCHED))
    expected = [(4, "liked watched"), (2, "watched"), (UNRATED_MOVIE, "watched"), (6, "hidden")]
    assert movies_of(with_events, user) == expected
    record(with_events, event(user, 6, REMOVED), event(user, 4, HIDDEN))
    assert movies_of(with_events, user)[0] == (4, "liked watched hidden")
    assert (6, "hidden") not in movies_of(with_events, user)
    record(with_events, event(21, 11, REMOVED))
    assert 11 not in [movie for movie, _ in movies_of(with_events, 21)]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (api.ListUserMoviesRequest(), "user_id"),
        (api.ListUserMoviesRequest(user_id=-1), "user_id"),
        (api.ListUserMoviesRequest(user_id=1, user_key="x"), "user_key"),
        (api.ListUserMoviesRequest(user_key="x"), "user_key"),
        (api.ListUserMoviesRequest(user_id=1, limit=501), "limit"),
        (api.ListUserMoviesRequest(user_id=1, page_token="x"), "page_token"),
        (api.ListUserMoviesRequest(user_id=1, release=-1), "release"),
    ],
)
def test_wrong_requests_name_their_field(
    stub: RecommenderServiceStub, request_: api.ListUserMoviesRequest, field: str
) -> None:
    """Each wrong field is INVALID_ARGUMENT and is named."""
    failure = failure_of(lambda: stub.ListUserMovies(request_))
    assert (failure.code, list(failure.violations)) == ("INVALID_ARGUMENT", [field])


def test_a_token_of_another_user_is_refused(stub: RecommenderServiceStub) -> None:
    """A page token is good for the user it was made for, and for no other list."""
    token = stub.ListUserMovies(api.ListUserMoviesRequest(user_id=20, limit=1, page_token="")).next_page_token
    assert token
    failure = failure_of(lambda: stub.ListUserMovies(api.ListUserMoviesRequest(user_id=21, page_token=token)))
    assert (failure.code, list(failure.violations)) == ("INVALID_ARGUMENT", ["page_token"])
    failure = failure_of(lambda: stub.Recommend(api.RecommendRequest(user_id=20, page_token=token)))
    assert (failure.code, list(failure.violations)) == ("INVALID_ARGUMENT", ["page_token"])
