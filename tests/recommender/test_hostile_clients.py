"""Clients that begin and never end, do not read, or hold connections: others are answered, and memory stays bounded."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Never

import grpc
import pytest
from movie_recommender_client.connection import RETRIES

from protos.recommender.v1.recommender_pb2 import BatchRecommendRequest, RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import first_success
from tests.support.errors import failure_of
from tests.support.http2 import (
    ACK,
    GOAWAY,
    INITIAL_WINDOW_SIZE,
    PING,
    RST_STREAM,
    Connection,
    connection,
    frame,
    prefixed,
)
from tests.support.metrics import metric
from tests.support.releases import publish_random
from tools.processes import Server, wait_for
from tools.servers import health_status, model_server, recommender, wait_until_serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RECOMMEND = "/recommender.v1.RecommenderService/Recommend"
BATCH = "/recommender.v1.RecommenderService/BatchRecommend"
RECEIVE_TIMEOUT_S = 10
USER = 3


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of movies with titles of 600 characters."""
    folder = tmp_path_factory.mktemp("long")
    publish_random(folder, num_movies=600, heavy=300, title="long " * 120)
    return folder


@pytest.fixture(scope="module")
def models_address(artifacts: Path) -> Iterator[str]:
    with model_server(artifacts, artifacts / "models.log") as (_, address):
        yield address


@pytest.fixture
def service(artifacts: Path, models_address: str, tmp_path: Path) -> Iterator[tuple[Server, str]]:
    log = tmp_path / "log"
    with recommender(artifacts, models_address, log, METRICS_ADDRESS="127.0.0.1:0") as (server, address):
        wait_until_serving(address)
        yield server, address


def recommend(address: str) -> int:
    """How many movies a client of its own is recommended, which tries again when gRPC refuses its call."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.service_config", json.dumps(RETRIES))]
    with grpc.insecure_channel(address, options=options) as channel:
        return len(RecommenderServiceStub(channel).Recommend(RecommendRequest(user_id=USER), timeout=60).movies)


def recommend_at_last(address: str) -> int:
    """Call `recommend` until it is answered, because on a busy machine all tries of a call may be refused."""
    return first_success(lambda: recommend(address), "a call of another client is answered", 240)


@contextmanager
def unread(address: str) -> Iterator[Connection]:
    """A connection that takes no answers. It acknowledges pings, else the service would close it after a while."""
    with connection(address, {INITIAL_WINDOW_SIZE: 0}) as made:
        reading = threading.Thread(target=made.read_until_closed, daemon=True)
        reading.start()
        try:
            yield made
        finally:
            with suppress(OSError):  # the service has closed it
                made.socket.shutdown(socket.SHUT_RDWR)
            reading.join()


@pytest.mark.parametrize(
    "path",
    [RECOMMEND, "/grpc.health.v1.Health/Watch", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"],
)
def test_a_request_that_does_not_end_is_refused(service: tuple[Server, str], path: str) -> None:
    """A call whose request has not arrived after ten seconds gets DEADLINE_EXCEEDED, in each of the services."""
    ended = threading.Event()

    def never() -> Iterator[Never]:
        ended.wait()
        yield from ()

    with grpc.insecure_channel(service[1]) as channel:
        start = time.monotonic()
        failure = failure_of(lambda: list(channel.stream_stream(path)(never(), timeout=60)))
        ended.set()
    assert (failure.code, failure.reason) == ("DEADLINE_EXCEEDED", "UNFINISHED_REQUEST")
    assert time.monotonic() - start >= RECEIVE_TIMEOUT_S


def test_unfinished_requests_hold_little_memory(service: tuple[Server, str]) -> None:
    """A thousand requests that lack their end hold some hundred megabytes, not a gigabyte; others are answered."""
    server, address = service
    before = server.resident_kb()
    almost_all = prefixed(b"x" * (1 << 20))[:1_000_000]

    def begin(made: Connection) -> None:
        for _ in range(16):
            made.send(made.start_call(RECOMMEND), almost_all)

    with ExitStack() as connections:
        made = [connections.enter_context(connection(address)) for _ in range(64)]
        threads = [threading.Thread(target=begin, args=(one,), daemon=True) for one in made]
        for thread in threads:
            thread.start()
        for _ in range(10):
            assert recommend_at_last(address) == 10
            assert server.resident_kb() - before < 600_000
        for thread in threads:
            thread.join(timeout=30)
    assert recommend_at_last(address) == 10


def test_answers_that_nobody_reads_hold_little_memory(service: tuple[Server, str]) -> None:
    """Clients that do not read cannot hold more than 64 MiB of large answers. Small ones are given to others."""
    server, address = service
    single = RecommendRequest(user_id=USER, limit=100, explain=True)
    large = BatchRecommendRequest(requests=[single] * 8)
    with grpc.insecure_channel(address) as channel:
        stub = RecommenderServiceStub(channel)
        size = stub.BatchRecommend(large, timeout=60).ByteSize()
        assert size > 1_000_000
        before = server.resident_kb()
        with ExitStack() as connections:
            for _ in range(20):
                made = connections.enter_context(unread(address))
                for _ in range(16):
                    made.call(BATCH, large.SerializeToString())
            wait_for(
                lambda: any("wait for clients" in str(line.get("message")) for line in server.events("overload")),
                "large answers are refused",
                240,
            )
            # While the flood is being worked off, gRPC may refuse any call.
            wait_for(lambda: metric(server, "recommender_calls_in_progress") == 0, "no call is in progress", 240)
            assert recommend_at_last(address) == 10
            assert server.resident_kb() - before < 250_000
            failure = failure_of(lambda: stub.BatchRecommend(large, timeout=60))
            assert failure.code == "RESOURCE_EXHAUSTED"
        wait_for(lambda: _is_answered(stub, large), "large answers are given again")


def _is_answered(stub: RecommenderServiceStub, request: BatchRecommendRequest) -> bool:
    try:
        return bool(stub.BatchRecommend(request, timeout=60).results)
    except grpc.RpcError:
        return False


def test_idle_connections_leave_room_for_others(artifacts: Path, models_address: str, tmp_path: Path) -> None:
    """Connections beyond what the limit on open files allows are closed; those that were there before are answered."""
    limited = ["sh", "-c", 'ulimit -n 400 && exec "$@"', "sh"]
    with recommender(artifacts, models_address, tmp_path / "log", prefix=limited) as (_, address):
        wait_until_serving(address)
        with grpc.insecure_channel(address) as channel, ExitStack() as connections:
            stub = RecommenderServiceStub(channel)
            assert stub.Recommend(RecommendRequest(user_id=USER), timeout=60).movies
            refused = 0
            for _ in range(400):
                try:
                    connections.enter_context(connection(address))
                except ConnectionError:
                    refused += 1
            assert refused > 200
            assert stub.Recommend(RecommendRequest(user_id=USER + 1), timeout=60).release
        wait_for(lambda: health_status(address) == "SERVING", "there is room again")


@pytest.mark.long
def test_clients_that_ping_every_few_seconds_are_tolerated(service: tuple[Server, str]) -> None:
    """A client without a call may ping every six seconds; one that pings without pause is sent away."""
    with connection(service[1]) as patient:
        for _ in range(5):
            patient.socket.sendall(frame(PING, 0, 0, b"12345678"))
            frames = [patient.read()[:2]]
            while frames[-1] != (PING, ACK):
                frames.append(patient.read()[:2])
            assert GOAWAY not in [kind for kind, _ in frames]
            time.sleep(6)
    with connection(service[1]) as hasty:
        hasty.socket.sendall(frame(PING, 0, 0, b"12345678") * 100)
        while hasty.read()[0] != GOAWAY:
            pass


def test_calls_taken_back_at_once_do_not_displace_others(service: tuple[Server, str]) -> None:
    """While a client starts calls and resets them, as fast as it can, another client's calls are answered."""
    address = service[1]
    stopping = threading.Event()

    def reset() -> None:
        with connection(address) as made:
            threading.Thread(target=_read_all, args=(made,), daemon=True).start()
            while not stopping.is_set():
                number = made.call(RECOMMEND, RecommendRequest(user_id=USER).SerializeToString())
                made.socket.sendall(frame(RST_STREAM, 0, number, b"\0\0\0\x08"))

    resetting = threading.Thread(target=reset, daemon=True)
    resetting.start()
    refused = 0
    try:
        for _ in range(50):
            try:
                assert recommend(address) == 10
            except grpc.RpcError:
                refused += 1
    finally:
        stopping.set()
        resetting.join()
    assert refused <= 2  # on a busy machine, all tries of a call may fall into one stall of the service


def _read_all(made: Connection) -> None:
    try:
        while True:
            made.read()
    except OSError:
        return
