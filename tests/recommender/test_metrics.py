"""What the service tells Prometheus."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.errors import failure_of
from tests.support.metrics import Metrics
from tests.support.releases import EVEN_USER, ODD_USER, UNKNOWN_USER, USER_WITHOUT_LIKES, publish_checkerboard
from tests.support.workers import supervised, workers_of
from tools.processes import suspend, wait_for
from tools.servers import model_server, recommender, wait_until_serving

pytestmark = pytest.mark.slow

PATIENT = {"PREDICT_TIMEOUT_MS": "20000", "METRICS_ADDRESS": "127.0.0.1:0"}  # a busy machine takes its time
HURRIED = {**PATIENT, "PREDICT_TIMEOUT_MS": "1000"}


@pytest.fixture
def served(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> Iterator[tuple[str, RecommenderServiceStub]]:
    """(address of the metrics, a client) of a recommender."""
    log = tmp_path / "recommender.log"
    with recommender(checkerboard_artifacts, model_server_address, log, **PATIENT) as (server, address):
        wait_until_serving(address)
        with grpc.insecure_channel(address) as channel:
            yield str(server.events("listening")[0]["metrics"]), RecommenderServiceStub(channel)


def test_calls_and_predicts_are_counted(served: tuple[str, RecommenderServiceStub]) -> None:
    """The metrics count calls, answers, Predict calls, batches and embeddings."""
    metrics_address, stub = served
    before = Metrics(metrics_address)
    for _ in range(2):
        stub.Recommend(RecommendRequest(user_id=EVEN_USER))
    stub.Recommend(RecommendRequest(liked_movie_ids=[2, 4]))
    failure_of(lambda: stub.Recommend(RecommendRequest(user_id=-1)))
    metrics = Metrics(metrics_address)

    def rise(name: str, **labels: str) -> float:
        return metrics.sum(name, **labels) - before.sum(name, **labels)

    assert rise("recommender_calls_total", rpc="Recommend", code="OK") == 3
    assert rise("recommender_calls_total", rpc="Recommend", code="INVALID_ARGUMENT") == 1
    assert rise("recommender_call_seconds_count", rpc="Recommend") == 4
    assert rise("recommender_answers_total", source="SOURCE_PERSONALIZED", degraded="false") == 2
    assert rise("recommender_user_embeddings_total", signature="serving_default", origin="model_server") == 1
    assert rise("recommender_user_embeddings_total", signature="serving_default", origin="cache") == 1
    assert rise("recommender_user_embeddings_total", signature="fold_in", origin="model_server") == 1
    assert rise("recommender_predict_seconds_count") == rise("recommender_predicts_total", code="OK") == 2
    assert rise("recommender_predict_batch_size_sum", signature="fold_in") == 1


def test_the_state_of_the_service_is_told(served: tuple[str, RecommenderServiceStub]) -> None:
    """The metrics name the build and the active release, and say how full the volume is."""
    metrics = Metrics(served[0])
    assert (
        len(
            metrics.values(
                "recommender_build_info", version=version("movie-recommender"), grpc_version=grpc.__version__
            )
        )
        == 1
    )
    wait_for(lambda: Metrics(served[0]).sum("recommender_model_server_reachable") == 1, "a look finds the model server")
    assert abs(time.time() - metrics.sum("recommender_active_release_published_timestamp_seconds")) < 3600
    assert metrics.sum("recommender_active_release") > 2e13
    used = metrics.sum("recommender_releases_volume_bytes") - metrics.sum("recommender_releases_volume_available_bytes")
    assert 0 < used < metrics.sum("recommender_releases_volume_bytes")


def test_live_queries_are_repeated_exactly(served: tuple[str, RecommenderServiceStub]) -> None:
    """Some live queries are repeated; of a checkerboard's movies, the answers hold all that are nearest."""
    metrics_address, stub = served
    asked = 0

    def are_repeated() -> bool:
        nonlocal asked
        asked += 1
        stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=3))
        stub.Recommend(RecommendRequest(user_id=USER_WITHOUT_LIKES, limit=3))
        return Metrics(metrics_address).sum("recommender_shadow_queries_total") >= 2

    def all_are_found() -> bool:
        metrics = Metrics(metrics_address)
        movies, found = (metrics.sum(f"recommender_shadow_movies{which}_total") for which in ("", "_found"))
        return movies == found == 3 * metrics.sum("recommender_shadow_queries_total")

    wait_for(are_repeated, "two queries are repeated")
    wait_for(all_are_found, "each repeated query finds three movies, and the answers held them")
    assert 2 <= Metrics(metrics_address).sum("recommender_shadow_queries_total") <= asked


def test_fallbacks_are_counted_by_reason(tmp_path: Path) -> None:
    """Each answer that is less personal than it could be has a reason."""
    publish_checkerboard(tmp_path)
    with (
        model_server(tmp_path, tmp_path / "model_server.log") as (models, model_server_address),
        recommender(tmp_path, model_server_address, tmp_path / "log", **HURRIED) as (server, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        stub = RecommenderServiceStub(channel)
        metrics_address = str(server.events("listening")[0]["metrics"])
        stub.Recommend(RecommendRequest(user_id=UNKNOWN_USER))
        stub.Recommend(RecommendRequest(user_id=USER_WITHOUT_LIKES))
        models.send(signal.SIGSTOP)
        stub.Recommend(RecommendRequest(user_id=EVEN_USER))

        def fallbacks(reason: str) -> float:
            stub.Recommend(RecommendRequest(user_id=ODD_USER))
            return Metrics(metrics_address).sum("recommender_fallbacks_total", reason=reason)

        wait_for(lambda: fallbacks("model_server_away") > 0, "the service does not ask a server that is away")
        wait_for(lambda: fallbacks("model_server_late") >= 1, "a call waits for it in vain")
        assert fallbacks("unknown_user") == fallbacks("no_likes") == 1
        wait_for(
            lambda: Metrics(metrics_address).sum("recommender_model_server_reachable") == 0,
            "the model server counts as away",
        )
        models.send(signal.SIGCONT)


def test_a_refused_release_is_told(tmp_path: Path) -> None:
    """A newer release that is refused counts until it is gone."""
    publish_checkerboard(tmp_path)
    with (
        model_server(tmp_path, tmp_path / "model_server.log") as (_, model_server_address),
        recommender(tmp_path, model_server_address, tmp_path / "log", **PATIENT) as (server, address),
    ):
        wait_until_serving(address)
        metrics_address = str(server.events("listening")[0]["metrics"])
        broken = tmp_path / "releases" / "29990101000000"
        broken.mkdir()
        (broken / "manifest.json").write_text("{}")

        def refused() -> float:
            return Metrics(metrics_address).sum("recommender_newer_releases", state="refused")

        wait_for(lambda: refused() == 1, "the release counts as refused")
        assert Metrics(metrics_address).sum("recommender_releases_refused_total") == 1
        shutil.rmtree(broken)
        wait_for(lambda: refused() == 0, "no release counts as refused")


def test_one_scrape_tells_of_all_workers(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> None:
    """One address has every worker's metrics, also of one that hangs and then goes on, and counts replacements."""
    settings = {"METRICS_ADDRESS": "127.0.0.1:0"}
    with supervised(checkerboard_artifacts, model_server_address, tmp_path / "log", **settings) as (server, address):
        metrics_address = str(server.events("supervising")[0]["metrics"])
        with grpc.insecure_channel(address) as channel:
            RecommenderServiceStub(channel).Recommend(RecommendRequest(user_id=EVEN_USER))
        wait_for(lambda: Metrics(metrics_address).sum("recommender_calls_total", rpc="Recommend") == 1, "it is counted")

        def up() -> list[float]:
            return [Metrics(metrics_address).sum("recommender_worker_up", worker=str(i)) for i in (0, 1)]

        def both_are_up() -> bool:
            return up() == [1, 1] and len(Metrics(metrics_address).values("recommender_active_release")) == 2

        wait_for(both_are_up, "both workers answer within the second that they have")
        first, second = workers_of(server)
        suspend(second)
        wait_for(lambda: [up(), up()] == [[1, 0], [1, 0]], "only the first worker answers")
        os.kill(second, signal.SIGCONT)
        wait_for(both_are_up, "both workers answer again")
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: up() == [1, 1], "the worker was replaced")
        wait_for(lambda: Metrics(metrics_address).sum("recommender_worker_restarts_total") == 1, "it is counted")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH")
def test_metrics_follow_the_conventions(served: tuple[str, RecommenderServiceStub]) -> None:
    """Names, units and help texts are those that Prometheus asks for."""
    served[1].Recommend(RecommendRequest(user_id=EVEN_USER))
    text = Metrics(served[0]).text
    run = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    problems = [line for line in (run.stdout + run.stderr).splitlines() if "recommender_" in line]
    assert problems == []
