"""A user's later events count, in whatever order they are recorded."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import (
    SOURCE_FOLDED_IN,
    SOURCE_POPULAR,
    RecommendRequest,
    RecommendResponse,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids
from tests.support.events import HIDDEN, RATED, REMOVED, WATCHED, event, record

_USERS = itertools.count(3_000_000)  # whom the release does not know, and no other test has used


@pytest.fixture(scope="module")
def stub(events_address: str) -> Iterator[RecommenderServiceStub]:
    """A client of a recommender that records events."""
    with grpc.insecure_channel(events_address) as channel:
        yield RecommenderServiceStub(channel)


def recommend(stub: RecommenderServiceStub, user_id: int, include_watched: bool = False) -> RecommendResponse:
    request = RecommendRequest(user_id=user_id, limit=500, include_watched=include_watched, explain=True)
    return stub.Recommend(request, timeout=60)


def test_the_later_event_counts_in_whatever_order(stub: RecommenderServiceStub) -> None:
    """An event that arrives late and happened before a removal has no effect; one that happened after it has."""
    user = next(_USERS)
    record(stub, event(user, 2, REMOVED, seconds=2_000))
    record(stub, event(user, 2, WATCHED, seconds=1_000))
    assert 2 in movie_ids(recommend(stub, user))
    record(stub, event(user, 2, WATCHED, seconds=3_000))
    assert 2 not in movie_ids(recommend(stub, user))


def test_random_events_mean_what_a_plain_loop_says(stub: RecommenderServiceStub) -> None:
    """Thirty users' events in random order leave out, and like, what a loop over them in the order of times does."""
    draw = random.Random(1)
    for _ in range(30):
        user, kinds = next(_USERS), [WATCHED, RATED, HIDDEN, REMOVED]
        events = [
            event(user, draw.randint(1, 6), kind, draw.choice([1, 3, 4, 5]) if kind == RATED else None, seconds)
            for seconds, kind in enumerate(draw.choices(kinds, k=draw.randint(1, 20)))
        ]
        watched, hidden, ratings = set(), set(), dict[int, float]()
        for one in events:
            movie = one.movie_id
            if one.kind == REMOVED:
                watched.discard(movie)
                hidden.discard(movie)
                ratings.pop(movie, None)
            elif one.kind == HIDDEN:
                hidden.add(movie)
            else:
                watched.add(movie)
                if one.kind == RATED:
                    ratings[movie] = one.rating
        draw.shuffle(events)
        for first in range(0, len(events), 7):
            record(stub, *events[first : first + 7])
        response = recommend(stub, user)
        liked = {movie for movie, rating in ratings.items() if rating >= 3.5}
        assert set(movie_ids(response)) == set(range(1, 13)) - watched - hidden
        assert response.source == (SOURCE_FOLDED_IN if liked else SOURCE_POPULAR)
        reasons = {reason.because.movie_id for movie in response.movies for reason in movie.reasons}
        assert reasons == liked if len(liked) <= 3 else reasons <= liked
        again = recommend(stub, user, include_watched=True)
        assert set(movie_ids(again)) == set(range(1, 13)) - hidden
