"""Overload: calls that cannot be answered soon are refused instead of kept waiting."""

from __future__ import annotations

import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids
from tests.support.errors import failure_of
from tests.support.faulty_model_server import faulty_model_server
from tests.support.metrics import metric, wait_for_calls_in_progress
from tests.support.releases import EVEN_USER, publish_checkerboard
from tools.processes import wait_for
from tools.servers import health_status, model_server, recommender, wait_until_serving

pytestmark = pytest.mark.slow


def recommend(stub: RecommenderServiceStub) -> list[int]:
    return movie_ids(stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=3)))


def test_too_many_concurrent_calls_are_refused_at_once(tmp_path: Path) -> None:
    """Calls beyond MAX_CONCURRENT_CALLS get RESOURCE_EXHAUSTED while the others wait."""
    release = tmp_path / "releases" / str(publish_checkerboard(tmp_path))
    settings = {"MAX_CONCURRENT_CALLS": "2", "PREDICT_TIMEOUT_MS": "60000", "METRICS_ADDRESS": "127.0.0.1:0"}
    with (
        faulty_model_server(release, tmp_path / "models.log") as (_, model_server_address, fault),
        recommender(tmp_path, model_server_address, tmp_path / "recommender.log", **settings) as (server, address),
        grpc.insecure_channel(address) as channel,
        ThreadPoolExecutor() as pool,
    ):
        wait_until_serving(address)
        stub = RecommenderServiceStub(channel)
        fault.write_text("hang")
        slow = [pool.submit(recommend, stub) for _ in range(2)]
        wait_for_calls_in_progress(server, 2)
        failure = failure_of(lambda: recommend(stub))
        assert (failure.code, failure.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CONCURRENT_CALLS")
        assert failure.retry_s == 0.5
        started = time.monotonic()
        for _ in range(20):
            failure_of(lambda: recommend(stub))
        seconds = time.monotonic() - started
        assert len(server.events("overload")) <= 2 + seconds  # logged once a second, not for each call
        assert health_status(address) == "SERVING"
        fault.unlink()
        assert [call.result(timeout=60) for call in slow] == [[4, 6, 10]] * 2


def test_too_many_queued_calls_are_cancelled(tmp_path: Path) -> None:
    """Calls that queue beyond MAX_QUEUED_CALLS get CANCELLED and are counted, and the service recovers."""
    publish_checkerboard(tmp_path)
    settings = {"MAX_QUEUED_CALLS": "4", "METRICS_ADDRESS": "127.0.0.1:0"}
    with (
        model_server(tmp_path, tmp_path / "model_server.log") as (_, model_server_address),
        recommender(tmp_path, model_server_address, tmp_path / "log", **settings) as (server, address),
        ExitStack() as channels,
    ):
        wait_until_serving(address)
        stubs = [RecommenderServiceStub(channels.enter_context(own_connection(address))) for _ in range(60)]
        for stub in stubs:
            assert stub.Recommend(RecommendRequest(user_id=EVEN_USER), timeout=60).movies
        server.send(signal.SIGSTOP)
        calls = [stub.Recommend.future(RecommendRequest(user_id=EVEN_USER), timeout=60) for stub in stubs]
        time.sleep(1)  # all of them reach the socket
        server.send(signal.SIGCONT)
        codes = Counter(call.code() for call in calls)
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.CANCELLED}
        assert codes[grpc.StatusCode.OK] >= 4
        assert stubs[0].Recommend(RecommendRequest(user_id=EVEN_USER), timeout=60).movies
        refused = codes[grpc.StatusCode.CANCELLED]
        wait_for(lambda: metric(server, "recommender_unseen_calls_total") >= refused, f"{refused} calls are counted")


def test_one_client_that_calls_too_much_waits(tmp_path: Path) -> None:
    """No call beyond MAX_QUEUED_CALLS on one connection is refused: it waits in the client, and succeeds."""
    publish_checkerboard(tmp_path)
    with (
        model_server(tmp_path, tmp_path / "model_server.log") as (_, model_server_address),
        recommender(tmp_path, model_server_address, tmp_path / "log", MAX_QUEUED_CALLS="4") as (server, address),
        own_connection(address) as channel,
    ):
        wait_until_serving(address)
        stub = RecommenderServiceStub(channel)
        assert stub.Recommend(RecommendRequest(user_id=EVEN_USER), timeout=60).movies
        server.send(signal.SIGSTOP)
        calls = [stub.Recommend.future(RecommendRequest(user_id=EVEN_USER), timeout=60) for _ in range(60)]
        time.sleep(1)  # all of them reach the socket
        server.send(signal.SIGCONT)
        assert Counter(call.code() for call in calls) == {grpc.StatusCode.OK: 60}


def own_connection(address: str) -> grpc.Channel:
    """A channel that shares its connection with no other."""
    return grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
