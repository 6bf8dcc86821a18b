"""Events among several processes: workers, restarts, kills, releases that hold the events, users who are forgotten."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest

from events.engine import open_engine
from events.store import EventStore
from protos.recommender.v1.recommender_pb2 import (
    SOURCE_FOLDED_IN,
    SOURCE_PERSONALIZED,
    SOURCE_POPULAR,
    Event,
    RecommendRequest,
    RecommendResponse,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import first_answer, movie_ids, undegraded, wait_until_left_out
from tests.support.errors import failure_of
from tests.support.event_releases import publish_with_events, withdraw
from tests.support.events import HIDDEN, RATED, WATCHED, event, events_status, record
from tests.support.releases import EVEN_USER, ODD_USER, UNKNOWN_USER, publish_checkerboard
from tests.support.workers import supervised
from tools.processes import wait_for
from tools.servers import model_server, recommender, wait_until_serving

pytestmark = pytest.mark.slow

LEFT_OUT = "older events are missing: only the newest 3 are held in memory"
CONNECTIONS = 12  # of which all reach the same of two workers with a chance of 1 to 2,048


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'events.db'}"


@contextmanager
def connected(address: str) -> Iterator[RecommenderServiceStub]:
    """A client with a connection of its own."""
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield RecommenderServiceStub(channel)


def recommend(
    stub: RecommenderServiceStub, user_id: int = EVEN_USER, limit: int = 500, release: int = 0
) -> RecommendResponse:
    request = RecommendRequest(user_id=user_id, limit=limit, release=release)
    return stub.Recommend(request, timeout=60, wait_for_ready=True)


def test_workers_see_each_others_events_within_a_second(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path, url: str
) -> None:
    """What one of two workers has recorded counts at once there, and within a second in the other."""
    log = tmp_path / "log"
    with (
        supervised(checkerboard_artifacts, model_server_address, log, EVENTS_URL=url) as (_, address),
        ExitStack() as stack,
    ):
        stubs = [stack.enter_context(connected(address)) for _ in range(CONNECTIONS)]
        for stub in stubs:
            events_status(stub)
        for movie in (4, 6, 10):
            record(stubs[movie % 3], event(EVEN_USER, movie, WATCHED))
            assert movie not in movie_ids(recommend(stubs[movie % 3]))
            wait_until_left_out({movie}, stubs, recommend)


def test_what_was_answered_survives_kill_9(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path, url: str
) -> None:
    """A service that is killed while clients record has every event that it answered OK, when it is back."""
    for kill in range(3):
        answered: list[Event] = []
        is_killed = threading.Event()
        with recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", EVENTS_URL=url) as (
            server,
            address,
        ):
            wait_until_serving(address)
            threads = [
                threading.Thread(target=_record_until_killed, args=(address, answered, is_killed)) for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            wait_for(lambda seen=answered: len(seen) > 50, "clients have recorded")  # type: ignore[misc]
            server.stop(signal.SIGKILL)
            is_killed.set()
            for thread in threads:
                thread.join()
        store = EventStore(url)
        stored = store.read(0, store.last_number())
        pairs = set(zip(stored["user"].tolist(), stored["movie"].tolist(), strict=True))
        assert {(one.user_id, one.movie_id) for one in answered} <= pairs, f"kill {kill}"
    with recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", EVENTS_URL=url) as (_, address):
        wait_until_serving(address)
        with connected(address) as stub:
            assert events_status(stub).held_events == len(stored)


def _record_until_killed(address: str, answered: list[Event], is_killed: threading.Event) -> None:
    """Record events, and note those that are answered. On a busy machine, some are refused."""
    with connected(address) as stub:
        for movie in range(1_000_000):
            one = event(threading.get_ident() % 2**32, movie, WATCHED)
            try:
                record(stub, one)
            except grpc.RpcError:
                if is_killed.wait(0.05):
                    return
                continue
            answered.append(one)


def test_a_release_takes_over_the_events_it_holds(tmp_path: Path, url: str) -> None:
    """Events up to the manifest's number leave memory, but not who was forgotten; after a rollback they count again."""
    artifacts = tmp_path / "artifacts"
    old = publish_checkerboard(artifacts)
    with (
        model_server(artifacts, tmp_path / "models.log") as (_, models),
        recommender(artifacts, models, tmp_path / "log", EVENTS_URL=url) as (_, address),
        connected(address) as stub,
    ):
        wait_until_serving(address)
        events_status(stub)
        record(stub, event(EVEN_USER, 4, HIDDEN), event(EVEN_USER, 1, RATED, 5))
        assert recommend(stub).source == SOURCE_FOLDED_IN
        store = EventStore(url)
        store.forget(ODD_USER)
        new = publish_with_events(artifacts, store.prepare(), store.last_number())
        wait_for(lambda: recommend(stub).release == new, "the new release is active")
        record(stub, event(EVEN_USER, 6, WATCHED))
        wait_for(lambda: events_status(stub).held_events == 1, "the old events have left memory")
        response = undegraded(lambda: recommend(stub))
        found = {4, 6} & set(movie_ids(response))
        assert found == {4}  # this release does not really hold it, which shows that it left
        assert response.source == SOURCE_PERSONALIZED
        known = undegraded(lambda: recommend(stub, ODD_USER, release=new))
        assert known.source == SOURCE_PERSONALIZED  # the release says that it knows better
        assert recommend(stub, ODD_USER, release=old).source == SOURCE_POPULAR
        withdraw(artifacts, new)
        wait_for(lambda: recommend(stub).release == old, "the old release is active")
        response = recommend(stub)
        assert {4, 6} & set(movie_ids(response)) == set()
        assert response.source == SOURCE_FOLDED_IN


def test_events_of_another_store_stay(tmp_path: Path, url: str) -> None:
    """A release that was trained on the events of another store does not take over those of this one."""
    artifacts = tmp_path / "artifacts"
    publish_with_events(artifacts, "another", 1_000_000)
    with (
        model_server(artifacts, tmp_path / "models.log") as (_, models),
        recommender(artifacts, models, tmp_path / "log", EVENTS_URL=url) as (_, address),
        connected(address) as stub,
    ):
        wait_until_serving(address)
        events_status(stub)
        record(stub, event(EVEN_USER, 4, HIDDEN))
        time.sleep(0.5)
        assert 4 not in movie_ids(recommend(stub))


def test_a_forgotten_user_is_unknown_within_a_second(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path, url: str
) -> None:
    """Both the user's events and what the release knows of them are gone; what they do later counts again."""
    with (
        recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", EVENTS_URL=url) as (_, address),
        connected(address) as stub,
    ):
        wait_until_serving(address)
        events_status(stub)
        record(stub, event(EVEN_USER, 1, RATED, 5), event(11, 2, HIDDEN))
        EventStore(url).forget(EVEN_USER)
        wait_for(lambda: events_status(stub).held_events == 1, "the service holds the events of the other user only")
        response = undegraded(lambda: recommend(stub))
        assert response == undegraded(lambda: recommend(stub, UNKNOWN_USER))
        assert response.source == SOURCE_POPULAR
        assert 2 not in movie_ids(recommend(stub, 11))
        record(stub, event(EVEN_USER, 4, WATCHED))
        assert 4 not in movie_ids(recommend(stub))


def test_more_events_than_allowed_leave_the_oldest_out(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path, url: str
) -> None:
    """A service that may hold three events holds the newest three, and its answers say so."""
    store = EventStore(url)
    settings = {"EVENTS_URL": url, "MAX_HELD_EVENTS": "3"}
    store.prepare()
    with recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", **settings) as (_, address):
        wait_until_serving(address)
        with connected(address) as stub:
            events_status(stub)
            record(stub, *(event(EVEN_USER, movie, HIDDEN) for movie in (4, 6, 10, 12)))
    with recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", **settings) as (_, address):
        wait_until_serving(address)
        with connected(address) as stub:
            response = first_answer(
                lambda: recommend(stub), lambda answer: answer.degraded_reason == LEFT_OUT, "older events are left out"
            )
            assert movie_ids(response)[0] == 4
            assert {6, 10, 12} & set(movie_ids(response)) == set()


def test_tables_of_a_later_version_are_left_alone(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path, url: str
) -> None:
    """A service that does not know the store's tables records nothing, answers on, and says why."""
    EventStore(url).prepare()
    with open_engine(url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with (
        recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", EVENTS_URL=url) as (_, address),
        connected(address) as stub,
    ):
        wait_until_serving(address)
        problem = events_status(stub, "expected tables of revision 0001 or older, got 9999").problem
        failure = failure_of(lambda: record(stub, event(EVEN_USER, 4, HIDDEN)))
        assert (failure.reason, failure.message) == ("EVENT_STORE_UNAVAILABLE", problem)
        assert problem in recommend(stub).degraded_reason  # on a busy machine it may also name the model server
