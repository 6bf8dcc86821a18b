"""RecordEvents, and what it changes at once in the answers of the process that took the call. On the checkerboard."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from functools import partial

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import (
    SOURCE_FOLDED_IN,
    SOURCE_PERSONALIZED,
    SOURCE_POPULAR,
    BatchRecommendRequest,
    GetServingStatusRequest,
    RecommendRequest,
    RecommendResponse,
    RecordEventsRequest,
    RecordEventsResponse,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids, undegraded
from tests.support.errors import failure_of
from tests.support.events import HIDDEN, RATED, REMOVED, WATCHED, event, events_status, record
from tests.support.releases import EVEN_USER, UNKNOWN_MOVIE, UNKNOWN_USER, USER_WITHOUT_LIKES

_USERS = itertools.count(1_000_000)  # whom the release does not know, and no other test has used


@pytest.fixture(scope="module")
def events_stub(events_address: str) -> Iterator[RecommenderServiceStub]:
    """A client of a recommender that records events."""
    with grpc.insecure_channel(events_address) as channel:
        yield RecommenderServiceStub(channel)


@pytest.fixture
def even_user(events_stub: RecommenderServiceStub) -> Iterator[int]:
    """A user whom the release knows, without events in the end."""
    yield EVEN_USER
    record(events_stub, *(event(EVEN_USER, movie, REMOVED) for movie in range(1, 13)))
    before = [event(EVEN_USER, 2, RATED, 5), event(EVEN_USER, 8, RATED, 5), event(EVEN_USER, 3, RATED, 1)]
    record(events_stub, *before)


def recommend(
    stub: RecommenderServiceStub, user_id: int, limit: int = 3, include_watched: bool = False, explain: bool = False
) -> RecommendResponse:
    request = RecommendRequest(user_id=user_id, limit=limit, include_watched=include_watched, explain=explain)
    return undegraded(lambda: stub.Recommend(request, timeout=60))


def test_a_watched_movie_is_left_out_at_once(events_stub: RecommenderServiceStub, even_user: int) -> None:
    """The very next answer lacks the movie; nothing else changes, and the trained embedding is still used."""
    assert movie_ids(recommend(events_stub, even_user)) == [4, 6, 10]
    assert record(events_stub, event(even_user, 6, WATCHED)).recorded == 1
    response = recommend(events_stub, even_user)
    assert movie_ids(response) == [4, 10, 12]
    assert response.source == SOURCE_PERSONALIZED
    assert movie_ids(recommend(events_stub, even_user, include_watched=True)) == [2, 4, 6]


def test_a_liked_movie_counts_with_the_users_likes(events_stub: RecommenderServiceStub, even_user: int) -> None:
    """A high rating leads to a fold-in of all that the user likes, and is a reason; a low one only leaves it out."""
    record(events_stub, event(even_user, 12, RATED, 1))
    assert recommend(events_stub, even_user).source == SOURCE_PERSONALIZED
    record(events_stub, event(even_user, 1, RATED, 5), event(even_user, 5, RATED, 5), event(even_user, 7, RATED, 4.5))
    response = recommend(events_stub, even_user, limit=8, explain=True)
    assert response.source == SOURCE_FOLDED_IN
    named = RecommendRequest(liked_movie_ids=[1, 2, 5, 7, 8], exclude_movie_ids=[3, 12], limit=8, explain=True)
    answer = undegraded(lambda: events_stub.Recommend(named, timeout=60))
    assert response == answer  # as if somebody new had named all of these


def test_a_lower_rating_takes_a_like_back(events_stub: RecommenderServiceStub, even_user: int) -> None:
    """A movie that the ratings say is liked no longer counts once the user rates it low."""
    record(events_stub, event(even_user, 8, RATED, 0.5))
    response = recommend(events_stub, even_user, explain=True)
    assert response.source == SOURCE_FOLDED_IN
    assert {reason.because.movie_id for movie in response.movies for reason in movie.reasons} == {2}
    record(events_stub, event(even_user, 2, RATED, 0.5))
    assert recommend(events_stub, even_user).source == SOURCE_POPULAR


def test_a_hidden_movie_never_comes_back(events_stub: RecommenderServiceStub, even_user: int) -> None:
    """It stays out also with `include_watched`, and after the user has watched and rated it, until it is removed."""
    record(events_stub, event(even_user, 4, HIDDEN))
    record(events_stub, event(even_user, 4, WATCHED), event(even_user, 4, RATED, 5))
    assert 4 not in movie_ids(recommend(events_stub, even_user, limit=500, include_watched=True))
    assert 4 not in movie_ids(recommend(events_stub, even_user, limit=500))
    record(events_stub, event(even_user, 4, REMOVED))
    assert movie_ids(recommend(events_stub, even_user))[0] == 4


def test_removing_undoes_ratings_of_the_release_too(events_stub: RecommenderServiceStub, even_user: int) -> None:
    """A movie that the user has rated before the release can be recommended again, and is no like any more."""
    record(events_stub, event(even_user, 8, REMOVED))
    response = recommend(events_stub, even_user, limit=500, explain=True)
    assert 8 in movie_ids(response)
    assert response.source == SOURCE_FOLDED_IN
    assert {reason.because.movie_id for movie in response.movies for reason in movie.reasons} == {2}


def test_a_newcomer_is_known_by_events_alone(events_stub: RecommenderServiceStub) -> None:
    """A user whom no release knows gets popular movies, and after the first like recommendations from it."""
    user = next(_USERS)
    record(events_stub, event(user, 2, WATCHED))
    response = recommend(events_stub, user, limit=500)
    assert response.source == SOURCE_POPULAR
    assert 2 not in movie_ids(response)
    record(events_stub, event(user, 1, RATED, 4), event(user, 3, RATED, 4))
    response = recommend(events_stub, user, limit=4)
    assert sorted(movie_ids(response)) == [5, 7, 9, 11]
    assert response.source == SOURCE_FOLDED_IN


def test_events_count_in_batches_and_with_named_likes(events_stub: RecommenderServiceStub) -> None:
    """BatchRecommend knows them too, and likes of the request add to those of the events."""
    user = next(_USERS)
    record(events_stub, event(user, 1, RATED, 4), event(user, 12, HIDDEN))
    request = RecommendRequest(user_id=user, liked_movie_ids=[3], limit=500, explain=True)
    (result,) = events_stub.BatchRecommend(BatchRecommendRequest(requests=[request])).results
    assert {1, 3, 12} & set(movie_ids(result.response)) == set()
    assert {reason.because.movie_id for movie in result.response.movies for reason in movie.reasons} == {1, 3}


def test_a_repeated_event_is_not_recorded_again(events_stub: RecommenderServiceStub) -> None:
    """The same call twice, or the same event twice in a call, is recorded once; the answer says so."""
    user = next(_USERS)
    first, second = event(user, 2, WATCHED), event(user, 4, WATCHED)
    response = record(events_stub, first, second, first)
    assert (response.recorded, response.duplicates) == (2, 1)
    record(events_stub, event(user, 2, REMOVED))
    response = record(events_stub, first, second)
    assert (response.recorded, response.duplicates) == (0, 2)
    assert 2 in movie_ids(recommend(events_stub, user, limit=500))


def test_a_clock_that_is_a_little_ahead_does_no_harm(events_stub: RecommenderServiceStub) -> None:
    """A time in the near future counts as now, so that what happens after it still counts; a far one is rejected."""
    user, now = next(_USERS), int(time.time())
    assert record(events_stub, event(user, 2, WATCHED, seconds=now + 200)).recorded == 1
    record(events_stub, event(user, 2, REMOVED))
    assert 2 in movie_ids(recommend(events_stub, user, limit=500))
    (rejected,) = record(events_stub, event(user, 4, WATCHED, seconds=now + 4_000)).rejected
    assert rejected.field == "event_time"
    assert rejected.reason.startswith("expected at most 5 minutes ahead of the service's clock, got 3,9")


def test_bad_events_are_named_and_good_ones_kept(events_stub: RecommenderServiceStub) -> None:
    """Each bad event is answered by index, field and reason; the others of the call are recorded."""
    user = next(_USERS)
    good = event(user, 2, WATCHED)
    bad = [event(user, 4, WATCHED) for _ in range(12)]
    bad[0].event_id = ""
    bad[1].event_id = "x" * 65
    bad[2].event_id = "a\0b"
    bad[3].ClearField("user_id")
    bad[4].user_id = -1
    bad[5].user_key = "somebody"
    bad[6].ClearField("user_id")
    bad[6].user_key = "somebody"
    bad[7].ClearField("movie_id")
    bad[8].kind = 17  # type: ignore[assignment] # a later version's
    bad[9].rating = 3
    bad[10].kind = RATED
    bad[11].kind, bad[11].rating = RATED, float("nan")
    response = record(events_stub, *bad[:6], good, *bad[6:])
    assert response.recorded == 1
    assert {r.index: (r.field, r.reason) for r in response.rejected} == {
        0: ("event_id", "expected 1 to 64 bytes, got 0"),
        1: ("event_id", "expected 1 to 64 bytes, got 65"),
        2: ("event_id", "expected no control characters, got some"),
        3: ("user_id", "expected an id or user_key, got none"),
        4: ("user_id", "expected an id of 0 or more, got -1"),
        5: ("user_key", "expected user_id or user_key, got both"),
        7: ("user_key", "expected user_id, because the ids of the active release are numbers; got 'somebody'"),
        8: ("movie_id", "expected an id or movie_key, got none"),
        9: ("kind", "expected a kind of event, got 17"),
        10: ("rating", "expected none, got one"),
        11: ("rating", "expected one with EVENT_KIND_RATED"),
        12: ("rating", "expected -1,000,000 to 1,000,000, got nan"),
    }
    assert movie_ids(recommend(events_stub, user))[0] != 2


def test_an_event_of_an_unknown_movie_is_kept(events_stub: RecommenderServiceStub) -> None:
    """It has no effect yet: a client's catalogue runs ahead of a release."""
    user = next(_USERS)
    assert record(events_stub, event(user, UNKNOWN_MOVIE, RATED, 5)).recorded == 1
    assert recommend(events_stub, user).source == SOURCE_POPULAR


def test_a_thousand_events_in_one_call_and_no_more(events_stub: RecommenderServiceStub) -> None:
    """A call takes 1,000 events; with one more it fails as a whole."""
    user = next(_USERS)
    events = [event(user, movie, WATCHED) for movie in range(1_000)]
    assert record(events_stub, *events).recorded == 1_000
    failure = failure_of(lambda: record(events_stub, *events, event(user, 1, WATCHED)))
    assert failure.violations == {"events": "expected at most 1,000, got 1,001"}
    assert record(events_stub) == RecordEventsResponse()


def test_the_status_tells_of_the_store(events_stub: RecommenderServiceStub) -> None:
    """GetServingStatus has the last number that was read, and how many events are held."""
    before = events_status(events_stub)
    record(events_stub, event(next(_USERS), 2, WATCHED))
    after = events_status(events_stub)
    assert after.held_events == before.held_events + 1
    assert (after.problem, after.release_last_event) == ("", 0)


def test_users_without_events_get_the_same_answers(
    stub: RecommenderServiceStub, events_stub: RecommenderServiceStub
) -> None:
    """Recording events changes nothing for users who have none."""
    for user in (11, 20, USER_WITHOUT_LIKES, UNKNOWN_USER):
        request = RecommendRequest(user_id=user, limit=500, explain=True)
        assert undegraded(partial(events_stub.Recommend, request)) == undegraded(partial(stub.Recommend, request))


def test_without_a_store_events_are_refused(stub: RecommenderServiceStub) -> None:
    """FAILED_PRECONDITION says that events are off, and the status has no store."""
    failure = failure_of(lambda: stub.RecordEvents(RecordEventsRequest()))
    assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "EVENTS_ARE_OFF")
    assert not stub.GetServingStatus(GetServingStatusRequest()).HasField("events")
