"""Recommenders that share a PostgreSQL server, and what becomes of them when the store fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import grpc
import pytest

from events.event import Event, Kind
from events.store import EventStore
from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2 import (
    GetServingStatusRequest,
    RecommendRequest,
    RecommendResponse,
    RecordEventsRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import first_answer, first_success, movie_ids, undegraded, wait_until_left_out
from tests.support.errors import failure_of
from tests.support.events import HIDDEN, WATCHED, event, events_status, record
from tests.support.postgresql import PostgreSql, needs_postgresql, postgresql
from tests.support.privileges import needs_mounts
from tests.support.releases import EVEN_USER, ODD_USER
from tools.processes import Server, suspend, wait_for
from tools.servers import recommender, wait_until_serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MISSING = "recent events may be missing, because the event store cannot be read: "


@pytest.fixture
def database() -> Iterator[tuple[PostgreSql, ExitStack]]:
    """A PostgreSQL server, and the stack that its run is on: closing that stops the server."""
    with postgresql() as server, ExitStack() as running:
        yield server, running


def recommend(stub: RecommenderServiceStub, user_id: int = EVEN_USER) -> RecommendResponse:
    return stub.Recommend(RecommendRequest(user_id=user_id, limit=500), timeout=60)


@needs_postgresql
def test_replicas_see_each_others_events_within_a_second(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path, postgresql_server: PostgreSql
) -> None:
    """What one of two services has recorded counts within a second in the other, both ways."""
    url = postgresql_server.new_database()
    with ExitStack() as stack:
        stubs: list[RecommenderServiceStub] = []
        for name in ("one", "two"):
            replica = recommender(checkerboard_artifacts, model_server_address, tmp_path / name, EVENTS_URL=url)
            _, address = stack.enter_context(replica)
            wait_until_serving(address)
            stubs.append(RecommenderServiceStub(stack.enter_context(grpc.insecure_channel(address))))
            events_status(stubs[-1])
        for movie, here, there in ((4, stubs[0], stubs[1]), (6, stubs[1], stubs[0])):
            record(here, event(EVEN_USER, movie, WATCHED))
            assert movie not in movie_ids(recommend(here))
            wait_until_left_out({movie}, [there], recommend)


@needs_postgresql
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_store_that_is_gone_and_comes_back(
    number: signal.Signals,
    checkerboard_artifacts: Path,
    model_server_address: str,
    tmp_path: Path,
    database: tuple[PostgreSql, ExitStack],
) -> None:
    """While it is killed or hangs, answers go on with what is held and say so, and nothing is recorded."""
    server, running = database
    process = running.enter_context(server.running())
    url, log = server.new_database(), tmp_path / "log"
    with recommender(checkerboard_artifacts, model_server_address, log, EVENTS_URL=url) as (_, address):
        wait_until_serving(address)
        with grpc.insecure_channel(address) as channel:
            stub = RecommenderServiceStub(channel)
            events_status(stub)
            record(stub, event(EVEN_USER, 4, HIDDEN))
            _signal_all(process, number)
            wait_for(lambda: recommend(stub).degraded_reason.startswith(MISSING), "answers say so")
            assert movie_ids(recommend(stub))[0] == 6
            anonymous = RecommendRequest(liked_movie_ids=[2])
            undegraded(lambda: stub.Recommend(anonymous, timeout=60))
            refused = event(EVEN_USER, 6, HIDDEN)
            failure = failure_of(lambda: record(stub, refused))
            assert (failure.code, failure.reason) == ("UNAVAILABLE", "EVENT_STORE_UNAVAILABLE")
            assert stub.GetServingStatus(GetServingStatusRequest()).events.problem.startswith(MISSING)
            if number == signal.SIGSTOP:
                _signal_all(process, signal.SIGCONT)
            else:
                running.close()
                running.enter_context(server.running())
            wait_for(lambda: recommend(stub).degraded_reason == "", "answers are whole again")
            _record_at_last(stub, refused)  # with the same id: it may have been recorded after all
            wait_until_left_out({6}, [stub], recommend)
            assert movie_ids(recommend(stub))[0] == 10


@needs_postgresql
def test_a_store_that_hangs_holds_up_nothing_else(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path, database: tuple[PostgreSql, ExitStack]
) -> None:
    """However many calls wait for it, the others are refused, recommendations are answered, and SIGTERM ends all."""
    server, running = database
    process = running.enter_context(server.running())
    url = server.new_database()
    settings = {"EVENTS_URL": url, "MAX_CONCURRENT_CALLS": "16", "SHUTDOWN_GRACE_S": "1"}
    log = tmp_path / "log"
    with (
        recommender(checkerboard_artifacts, model_server_address, log, **settings) as (service, address),
        ExitStack() as s,
    ):
        wait_until_serving(address)
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [s.enter_context(grpc.insecure_channel(address, options=options)) for _ in range(4)]
        stubs = [RecommenderServiceStub(channel) for channel in channels]
        events_status(stubs[0])
        undegraded(lambda: recommend(stubs[0]))
        s.callback(_signal_all, process, signal.SIGCONT)
        for _ in range(3):  # a busy machine may spread the calls, so that most find a store that hangs already
            _signal_all(process, signal.SIGSTOP)
            codes = _codes_while_it_hangs(stubs)
            if set(codes) == {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}:
                break
            _signal_all(process, signal.SIGCONT)
            _record_at_last(stubs[0], event(ODD_USER, 3, HIDDEN))
        assert set(codes) == {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}, codes
        assert service.stop(signal.SIGTERM) == 0


def _codes_while_it_hangs(stubs: list[RecommenderServiceStub]) -> Counter[str]:
    """How many calls of RecordEvents end with each status. Checks that recommendations are answered meanwhile."""
    request = RecordEventsRequest(events=[event(ODD_USER, 3, HIDDEN)])
    calls = [stub.RecordEvents.future(request) for stub in stubs * 10]
    wait_for(lambda: sum(call.done() for call in calls) > len(calls) - 16, "those beyond the bound are refused")
    for _ in range(20):
        assert movie_ids(recommend(stubs[0]))[0] == 4
    return Counter(call.code().name for call in calls)


@needs_postgresql
def test_a_service_starts_without_its_store(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path, database: tuple[PostgreSql, ExitStack]
) -> None:
    """It answers, and says that events may be missing; once the store is there, it creates the tables and records."""
    server, running = database
    with server.running():
        url = server.new_database()
    with recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", EVENTS_URL=url) as (_, address):
        wait_until_serving(address)
        with grpc.insecure_channel(address) as channel:
            stub = RecommenderServiceStub(channel)
            says_so = first_answer(
                lambda: recommend(stub), lambda answer: answer.degraded_reason.startswith(MISSING), "it says so"
            )
            assert movie_ids(says_so)[0] == 4
            running.enter_context(server.running())
            wait_for(lambda: recommend(stub).degraded_reason == "", "the store is read")
            record(stub, event(EVEN_USER, 4, HIDDEN))
            assert movie_ids(recommend(stub))[0] == 6


@needs_mounts
@pytest.mark.timeout(700)
def test_a_full_disk_refuses_events_and_nothing_else(tmp_path: Path) -> None:
    """RecordEvents is UNAVAILABLE, Recommend is not degraded, and once there is room events are recorded again."""
    command = ["unshare", "--mount", sys.executable, "-m", "tests.support.full_event_store", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout.splitlines()[-1])
    assert seen["failure"] == ["UNAVAILABLE", "EVENT_STORE_UNAVAILABLE"]
    assert "disk is full" in seen["message"]
    assert seen["while full"] == ["", 6]
    assert seen["with room"] == 10
    assert seen["lost"] == 0
    assert seen["bugs"] == []


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
@pytest.mark.long
def test_a_million_events_are_read_at_the_start(
    kind: str, checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A service that starts soon holds a million events, and says how long it took to read them."""
    url = f"sqlite:///{tmp_path / 'events.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgresql_server").new_database()
    store = EventStore(url)
    store.prepare()
    for first in range(0, 1_000_000, 10_000):
        store.append([_nth(number) for number in range(first, first + 10_000)])
    log = tmp_path / "log"
    with recommender(checkerboard_artifacts, model_server_address, log, EVENTS_URL=url) as (server, address):
        wait_until_serving(address)
        with grpc.insecure_channel(address) as channel:
            stub = RecommenderServiceStub(channel)
            status = partial(stub.GetServingStatus, GetServingStatusRequest(), timeout=60)
            wait_for(lambda: status().events.held_events == 1_000_000, "the events are held", 600)
            assert set(range(1, 13)) & set(movie_ids(recommend(stub, 17))) == set()  # every user has watched all
            assert set(movie_ids(recommend(stub, ODD_USER + 10_000_000))) >= {2, 4}  # but not this one
        (line,) = server.events("events read")
        rss_mb = (
            int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
        )
        print(f"\n{kind}: a million events read in {line['seconds']} s; the service takes {rss_mb} MB")


def _nth(number: int) -> Event:
    """Return one of a million events, in which each of 25,000 users has watched the same 40 movies."""
    return Event(f"{number:032x}", number % 25_000, "", number // 25_000, "", Kind.WATCHED, 0.0, number)


def _record_at_last(stub: RecommenderServiceStub, event: api.Event) -> None:
    """Record an event. A store that goes on after it hung may still be busy with the calls before."""
    first_success(lambda: record(stub, event), "an event is recorded")


def _signal_all(server: Server, number: signal.Signals) -> None:
    """Send the signal to a server and its processes. After SIGSTOP all of them have stopped."""
    pid = server.process.pid
    suspend(pid)  # so that it starts no more
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in [pid, *map(int, children)]:
        with suppress(ProcessLookupError):  # it may end with its parent
            if number == signal.SIGSTOP:
                suspend(one)
            else:
                os.kill(one, number)
