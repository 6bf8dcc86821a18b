"""The loop closed: what a user does counts at once on every worker, and is inside the next release."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

from events.store import EventStore
from protos.recommender.v1.recommender_pb2 import (
    SOURCE_PERSONALIZED,
    GetServingStatusRequest,
    RecommendRequest,
    RecommendResponse,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from protos.release.v1 import manifest_pb2
from tests.support.answers import movie_ids, undegraded, wait_until_left_out
from tests.support.callers import Callers
from tests.support.events import HIDDEN, RATED, REMOVED, WATCHED, event, record
from tests.support.learning import NUM_MOVIES, NUM_TASTES, looks, trained, watching, write_tastes
from tests.support.workers import supervised
from tools.processes import wait_for
from tools.servers import model_server, recommender, wait_until_serving
from trainer.release.catalogue import served_versions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CONNECTIONS = 12  # of which all reach the same of two workers with a chance of 1 to 2,048
USER, NEWCOMER, HIDES_ONLY, FORGOTTEN = 1, 5_000, 5_001, 7


@contextmanager
def connected(address: str) -> Iterator[RecommenderServiceStub]:
    """A client with a connection of its own."""
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield RecommenderServiceStub(channel)


def ask(stub: RecommenderServiceStub, user: int = USER, include_watched: bool = False) -> RecommendResponse:
    request = RecommendRequest(user_id=user, limit=240, include_watched=include_watched)
    return stub.Recommend(request, timeout=60, wait_for_ready=True)


def test_events_count_at_once_and_are_learned(tmp_path: Path) -> None:
    """Two workers heed events within a second; `trainer watch` puts them into a release that is swapped in under load.

    No call fails. Afterwards no worker holds the events, and what was watched or hidden still stays away.
    """
    write_tastes(tmp_path / "data")
    url, log = f"sqlite:///{tmp_path / 'events.db'}", tmp_path / "recommender.log"
    first = trained(tmp_path, url)
    with model_server(tmp_path, tmp_path / "models.log", "--grpc_max_threads=64") as (_, models):
        with supervised(tmp_path, models, log, EVENTS_URL=url) as (service, address), ExitStack() as stack:
            stubs = [stack.enter_context(connected(address)) for _ in range(CONNECTIONS)]
            watched, hidden = _record_all(stubs, url)
            problems: list[str] = []
            load = Callers(address, 4, lambda stub: _check(stub, watched, hidden, problems), pause_s=0.02)
            try:
                second = _learn(tmp_path, url, stubs)
            finally:
                load.stop()
            assert problems == []
            assert second > first
            _check_learned(stubs, watched, hidden)
            record(stubs[2], event(USER, hidden, REMOVED))
            wait_for(lambda: all(hidden in movie_ids(ask(stub)) for stub in stubs), "it is offered again")
            assert not service.events("bug")
        with recommender(tmp_path, models, log) as (_, address), connected(address) as stub:  # without a store
            wait_until_serving(address)
            assert hidden not in movie_ids(ask(stub, include_watched=True))
    manifest = (tmp_path / "releases" / str(second) / "manifest.json").read_text()
    events = json_format.Parse(manifest, manifest_pb2.Manifest()).events
    assert events == manifest_pb2.Events(store_id=EventStore(url).prepare(), last_event=15, num_events=13)


def _record_all(stubs: Sequence[RecommenderServiceStub], url: str) -> tuple[int, int]:
    """Record what users do, and return what USER has watched and has hidden, once no worker offers it any more."""
    watched, hidden = movie_ids(ask(stubs[0]))[:2]
    record(stubs[0], event(USER, watched, RATED, 5), event(USER, hidden, HIDDEN), event(HIDES_ONLY, 0, HIDDEN))
    wait_until_left_out({watched, hidden}, stubs, ask)
    taste = [movie for movie in range(NUM_MOVIES) if movie % NUM_TASTES == 3]
    record(stubs[1], *(event(NEWCOMER, movie, RATED, 5) for movie in taste[:10]), event(FORGOTTEN, 2, WATCHED))
    EventStore(url).forget(FORGOTTEN)
    return watched, hidden


def _learn(folder: Path, url: str, stubs: Sequence[RecommenderServiceStub]) -> int:
    """Let a trainer watch until it has published, and return the release once no worker holds events any more."""
    with watching(folder, url, "--min-new-events=10") as (_, metrics):
        wait_for(lambda: looks(metrics, "published") == 1, "a release with the events", 300)
    release = served_versions(folder)[-1]
    wait_for(lambda: all(ask(stub).release == release for stub in stubs), "it is active")
    wait_for(lambda: not any(map(_held, stubs)), "the events have left memory")
    time.sleep(1)
    return release


def _check_learned(stubs: Sequence[RecommenderServiceStub], watched: int, hidden: int) -> None:
    """Check that every worker answers from a release that holds the events."""
    for stub in stubs:
        answer = ask(stub, include_watched=True)
        assert hidden not in movie_ids(answer)
        assert watched in movie_ids(answer)
        assert 0 not in movie_ids(ask(stub, HIDES_ONLY))
        newcomer = undegraded(partial(ask, stub, NEWCOMER))
        assert newcomer.source == SOURCE_PERSONALIZED
        assert movie_ids(newcomer)[0] % NUM_TASTES == 3
        assert movie_ids(ask(stub, FORGOTTEN)) == movie_ids(ask(stub, 999_999))


def _check(stub: RecommenderServiceStub, watched: int, hidden: int, problems: list[str]) -> None:
    """Ask once, and note an error, or a movie that should not be in the answer."""
    try:
        answer = ask(stub)
    except grpc.RpcError as error:
        problems.append(str(error))
        return
    if {watched, hidden} & set(movie_ids(answer)):
        problems.append(f"release {answer.release} offers what was watched or hidden")


def _held(stub: RecommenderServiceStub) -> int:
    return stub.GetServingStatus(GetServingStatusRequest(), timeout=60).events.held_events
