"""Releases reach Milvus whole or not at all, and are swapped under calls."""

from __future__ import annotations

import math
import os
import secrets
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from recommender_service.settings import Settings, SettingsError
from tests.support.answers import STALLED, movie_ids, undegraded
from tests.support.callers import Callers
from tests.support.jaeger import jaeger, needs_jaeger
from tests.support.milvus import connected, settings_for, wait_until_loaded
from tests.support.releases import EVEN_USER, publish_checkerboard, publish_random
from tests.support.soak import SOAK_SECONDS
from tools.processes import START_TIMEOUT_S, wait_for
from tools.servers import free_port, milvus_lite, milvus_loader, model_server, recommender, wait_until_serving

RECOMMEND = "recommender.v1.RecommenderService/Recommend"
BEST = [(4, 4), (6, 6), (10, 10)]  # of EVEN_USER: (movie id, degrees between movie and user before stretching)
SWAPS, CALLERS = 4, 3
# A loader that is killed when it has filled a collection, and has not named it yet.
DIES_WHILE_LOADING = """
import os, signal
from pymilvus import MilvusClient
from recommender_service.milvus_loader import main
MilvusClient.flush = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
main([])
"""


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"ANN": "hnsw"}, "ANN: expected annoy or milvus, got 'hnsw'"),
        ({"ANN": "milvus"}, "ANN=milvus and MILVUS_URI: expected both or neither, got no MILVUS_URI"),
        ({"MILVUS_URI": "http://localhost:19530"}, "ANN=milvus and MILVUS_URI: expected both or neither, got annoy"),
        (
            {"ANN": "milvus", "MILVUS_URI": "localhost:1"},
            "MILVUS_URI: expected http://host:port, https://host:port or a file that ends in .db, got 'localhost:1'",
        ),
        (
            {"ANN": "milvus", "MILVUS_URI": "/nowhere/movies.db"},
            "MILVUS_URI: expected a file in a folder that exists, got '/nowhere/movies.db'",
        ),
        (
            {"ANN": "milvus", "MILVUS_URI": "movies.db", "WORKERS": "2"},
            "WORKERS: expected 1, because only one process can open the file MILVUS_URI; got 2",
        ),
    ],
)
def test_wrong_settings_of_milvus_are_named(environment: dict[str, str], expected: str) -> None:
    """A wrong setting ends the service with one line that says what was expected."""
    with pytest.raises(SettingsError) as error:
        Settings.from_environment(environment)
    assert str(error.value) == expected


def test_without_milvus_nothing_of_it_is_imported() -> None:
    """A service with ANN=annoy loads nothing that talks to Milvus."""
    code = "import recommender_service.__main__, recommender_service.server, sys; "
    code += "print([m for m in sys.modules if m.split('.')[0] in {'pymilvus', 'milvus_lite', 'pandas'}])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


class Seen:
    """What callers see: how often each release answers, its scores, and failed, wrong or degraded answers."""

    def __init__(self) -> None:
        self.answers = Counter[int]()
        self.scores: set[tuple[int, tuple[float, ...]]] = set()
        self.problems: list[str] = []

    def call(self, stub: RecommenderServiceStub) -> None:
        try:
            response = stub.Recommend(api.RecommendRequest(user_id=EVEN_USER, limit=3), timeout=60)
        except grpc.RpcError as error:
            self.problems.append(str(error))
            return
        if STALLED.search(response.degraded_reason):
            return
        if response.degraded_reason or movie_ids(response) != [movie for movie, _ in BEST]:
            self.problems.append(str(response))
        self.scores.add((response.release, tuple(movie.score for movie in response.movies)))
        self.answers[response.release] += 1


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.long
def test_releases_in_milvus_are_swapped_under_calls(tmp_path: Path) -> None:
    """No call fails, is degraded or mixes two releases while new ones are published and loaded."""
    first = publish_checkerboard(tmp_path)
    stretch_of = {first: 1.0}
    port = free_port()
    uri, seen = f"http://127.0.0.1:{port}", Seen()
    with (
        milvus_lite(tmp_path / "lite", port),
        milvus_loader(tmp_path, uri, tmp_path / "loader.log") as loading,
        model_server(tmp_path, tmp_path / "models.log") as (_, models),
        recommender(tmp_path, models, tmp_path / "log", USER_CACHE_SIZE="1", **settings_for(uri)) as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        client, stub = connected(uri), RecommenderServiceStub(channel)
        wait_until_serving(address)
        callers = Callers(address, CALLERS, seen.call)
        try:
            wait_for(partial(seen.answers.__getitem__, first), f"{first} has answered")
            for swap in range(1, SWAPS + int(SOAK_SECONDS or 0) // 3):
                version = publish_checkerboard(tmp_path, rotate_degrees=37.0 * swap, stretch=1.0 + 0.1 * swap)
                stretch_of[version] = 1.0 + 0.1 * swap
                wait_for(partial(_is_active, stub, version), f"{version} is active", START_TIMEOUT_S)
                wait_for(partial(seen.answers.__getitem__, version), f"{version} has answered")
        finally:
            callers.stop()
        assert seen.problems == []
        assert set(seen.answers) == set(stretch_of)
        for release, scores in seen.scores:
            expected = [math.cos(math.radians(stretch_of[release] * degrees)) for _, degrees in BEST]
            assert scores == pytest.approx(expected, abs=1e-4), release
        newest = wait_until_loaded(client, version)
        wait_for(lambda: client.describe_alias("movies")["collection_name"] == newest, "the alias is swapped")
        wait_for(lambda: len(client.list_collections()) == 3, "old collections are dropped")
        assert loading.stop() == 0


def _is_active(stub: RecommenderServiceStub, version: int) -> bool:
    return bool(stub.GetServingStatus(api.GetServingStatusRequest()).release == version)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.long
def test_a_half_loaded_collection_is_never_served(tmp_path: Path) -> None:
    """The loader is killed while it loads: the service waits, also through more looks, until another loader is done."""
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    version = publish_random(tmp_path, num_movies=1_000, heavy=10)
    environment = {**os.environ, **settings_for(uri), "RELEASES_DIR": str(tmp_path / "releases")}
    with (
        milvus_lite(tmp_path / "lite", port),
        model_server(tmp_path, tmp_path / "models.log") as (_, models),
        recommender(tmp_path, models, tmp_path / "log", **settings_for(uri)) as (server, address),
        grpc.insecure_channel(address) as channel,
    ):
        client, stub = connected(uri), RecommenderServiceStub(channel)
        run = subprocess.run([sys.executable, "-c", DIES_WHILE_LOADING], env=environment, timeout=200, check=False)
        assert run.returncode == -signal.SIGKILL
        assert ["_loading_" in name for name in client.list_collections()] == [True]
        waiting = f"the collection movies_{version}_"
        wait_for(lambda: waiting in stub.GetServingStatus(api.GetServingStatusRequest()).waiting_for, "it waits")
        assert not server.events("release active")
        with ExitStack() as loaders:
            for number in range(2):  # two at once do no harm
                loaders.enter_context(milvus_loader(tmp_path, uri, tmp_path / f"loader-{number}.log"))
            wait_until_serving(address)
        undegraded(lambda: stub.Recommend(api.RecommendRequest(user_id=3), timeout=60))
        assert len([name for name in client.list_collections() if "_loading_" not in name]) == 1


def test_the_loader_names_a_wrong_setting() -> None:
    """The loader ends with one line where there is no Milvus to load into."""
    command = [sys.executable, "-m", "recommender_service.milvus_loader"]
    run = subprocess.run(command, capture_output=True, text=True, env={"PATH": ""}, check=False)
    assert (run.returncode, run.stderr) == (2, "error: ANN: expected milvus, got annoy\n")


@needs_jaeger
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.long
def test_a_file_of_milvus_lite_is_loaded_by_the_service(tmp_path: Path) -> None:
    """Without a loader a file does, with a trace of each search; a second service on the file ends with one line."""
    publish_checkerboard(tmp_path)
    settings = {**settings_for(str(tmp_path / "movies.db")), "OTEL_BSP_SCHEDULE_DELAY": "200"}
    with (
        jaeger(tmp_path) as collector,
        model_server(tmp_path, tmp_path / "models.log") as (_, models),
        recommender(
            tmp_path, models, tmp_path / "log", OTEL_EXPORTER_OTLP_ENDPOINT=collector.collector, **settings
        ) as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        stub = RecommenderServiceStub(channel)
        request = api.RecommendRequest(user_id=EVEN_USER, limit=3)
        answer = undegraded(lambda: stub.Recommend(request, timeout=60))
        assert movie_ids(answer) == [movie for movie, _ in BEST]
        trace_id = secrets.token_hex(16)
        metadata = (("traceparent", f"00-{trace_id}-{secrets.token_hex(8)}-01"),)
        stub.Recommend(request, metadata=metadata, timeout=60)
        spans = collector.wait_for_spans(trace_id, [RECOMMEND, "Milvus search"])
        assert spans["Milvus search"].parent == spans[RECOMMEND].id
        command = [sys.executable, "-m", "recommender_service"]
        environment = {**settings, "LISTEN_ADDRESS": "127.0.0.1:0", "PATH": ""}
        second = subprocess.run(command, capture_output=True, text=True, timeout=250, env=environment, check=False)
        assert second.returncode == 1
        problem = "expected a file of milvus-lite that no other process has open"
        assert second.stderr == f"error: MILVUS_URI: {problem}, got {str(tmp_path / 'movies.db')[:40]!r}\n"
