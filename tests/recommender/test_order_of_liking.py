"""Recommend for movies in the order in which a user came to like them, as a request, a release and events tell it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import (
    SOURCE_FOLDED_IN,
    BatchRecommendRequest,
    RecommendRequest,
    RecommendResponse,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids, undegraded
from tests.support.events import RATED, event, events_status, record
from tests.support.old_formats import publish_old
from tests.support.releases import UNKNOWN_MOVIE, publish_checkerboard
from tools.servers import model_server, recommender, wait_until_serving

USER, LIKES = 20, [2, 4, 6, 8, 10, 12]  # in the order of their times
SOMEBODY_NEW = 2_000_000


@pytest.fixture(scope="module")
def timed_stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecommenderServiceStub]:
    """A client of a recommender that serves ratings with times, and records events."""
    folder = tmp_path_factory.mktemp("timed")
    publish_checkerboard(folder, times=True)
    settings = {"EVENTS_URL": f"sqlite:///{folder / 'events.db'}"}
    with (
        model_server(folder, folder / "model_server.log") as (_, model_server_address),
        recommender(folder, model_server_address, folder / "recommender.log", **settings) as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        stub = RecommenderServiceStub(channel)
        events_status(stub)
        yield stub


def in_order(stub: RecommenderServiceStub, likes: list[int], user_id: int | None = None) -> RecommendResponse:
    """What somebody gets who came to like these movies in this order."""
    return ask(stub, RecommendRequest(user_id=user_id, liked_movie_ids=likes, liked_in_order=True, limit=12))


def ask(stub: RecommenderServiceStub, request: RecommendRequest) -> RecommendResponse:
    return undegraded(lambda: stub.Recommend(request, timeout=60))


def test_the_last_likes_count_most(stub: RecommenderServiceStub) -> None:
    """The nearest movies are like the last one; a repeated movie counts where it comes last."""
    even_last, odd_last = in_order(stub, [1, 2]), in_order(stub, [2, 1])
    assert even_last.source == SOURCE_FOLDED_IN
    assert movie_ids(even_last)[0] % 2 == 0
    assert movie_ids(odd_last)[0] % 2 == 1
    assert in_order(stub, [1, 2, 1]) == odd_last
    unknown_too = in_order(stub, [2, UNKNOWN_MOVIE, 1])
    assert unknown_too.movies == odd_last.movies
    assert unknown_too.ignored_movie_ids == [UNKNOWN_MOVIE]


def test_sets_and_orders_are_told_apart_in_a_batch(stub: RecommenderServiceStub) -> None:
    """Both kinds of requests in one batch get what they get alone, and a single like has no order."""
    requests = [
        RecommendRequest(liked_movie_ids=likes, liked_in_order=is_order)
        for likes in ([3, 6, 8], [8, 6, 3], [5])
        for is_order in (True, False)
    ]
    results = undegraded(lambda: stub.BatchRecommend(BatchRecommendRequest(requests=requests), timeout=60)).results
    batch = [result.response for result in results]
    assert batch == [ask(stub, request) for request in requests]
    assert batch[0] != batch[2]
    assert batch[1] == batch[3]
    assert batch[4] == batch[5]


def test_named_likes_follow_those_of_the_ratings(timed_stub: RecommenderServiceStub) -> None:
    """What the ratings say that a user likes is in the order of their times, and older than what a request names."""
    for named in ([1], [3, 1], [4, 1]):
        whole = [*(movie for movie in LIKES if movie not in named), *named]
        answer = in_order(timed_stub, named, user_id=USER)
        assert answer == in_order(timed_stub, whole)
        assert answer != in_order(timed_stub, whole[::-1])


def test_events_tell_the_order_of_liking(timed_stub: RecommenderServiceStub) -> None:
    """A user with new ratings is folded in from all their likes in order; a movie that is rated anew is the latest."""
    for user, rated, likes in (
        (SOMEBODY_NEW, [5, 2, 7], [5, 2, 7]),
        (SOMEBODY_NEW, [5], [2, 7, 5]),
        (USER, [1, 4], [2, 6, 8, 10, 12, 1, 4]),
    ):
        for movie in rated:
            record(timed_stub, event(user, movie, RATED, 5))
        answer = ask(timed_stub, RecommendRequest(user_id=user, limit=12))
        assert answer.source == SOURCE_FOLDED_IN
        assert answer == in_order(timed_stub, likes)


def test_older_releases_fold_in_a_set(tmp_path: Path) -> None:
    """A release of format 4, whose model knows of no order, answers as if all likes counted alike."""
    publish_old(tmp_path, lambda folder: publish_checkerboard(folder, times=True), 4)
    with (
        model_server(tmp_path, tmp_path / "model_server.log") as (_, model_server_address),
        recommender(tmp_path, model_server_address, tmp_path / "recommender.log") as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        stub = RecommenderServiceStub(channel)
        assert in_order(stub, [1, 2]) == in_order(stub, [2, 1])
        as_a_set = RecommendRequest(user_id=USER, liked_movie_ids=[1], limit=12)
        assert in_order(stub, [1], user_id=USER) == ask(stub, as_a_set)
