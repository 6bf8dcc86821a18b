"""The life of a recommender: what it waits for, which releases it refuses, and how it ends."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids
from tests.support.errors import failure_of
from tests.support.faulty_model_server import faulty_model_server
from tests.support.metrics import wait_for_calls_in_progress
from tests.support.releases import EVEN_USER, ODD_USER, UNKNOWN_USER, publish_checkerboard
from tools.processes import wait_for
from tools.servers import free_port, health_status, model_server, recommender, wait_until_serving

pytestmark = pytest.mark.slow

SERVICE = "recommender.v1.RecommenderService"


def recommend(address: str, user_id: int = EVEN_USER) -> list[int]:
    """The ids of the three movies that the user is recommended."""
    with grpc.insecure_channel(address) as channel:
        request = RecommendRequest(user_id=user_id, limit=3)
        response = RecommenderServiceStub(channel).Recommend(request)
        return movie_ids(response)


def test_waits_for_a_release_and_the_model_server(tmp_path: Path) -> None:
    """The service is NOT_SERVING, and says why, until a release and a model server are there."""
    port = free_port()
    with recommender(tmp_path, f"127.0.0.1:{port}", tmp_path / "recommender.log") as (server, address):
        assert health_status(address) == health_status(address, SERVICE) == "NOT_SERVING"
        failure = failure_of(lambda: recommend(address))
        assert (failure.code, failure.reason, failure.retry_s) == ("UNAVAILABLE", "NO_ACTIVE_RELEASE", 0.5)
        releases = f"a complete release in {tmp_path / 'releases'}"
        wait_for(
            lambda: releases in failure_of(lambda: recommend(address)).message, "the service has looked for releases"
        )
        publish_checkerboard(tmp_path)
        wait_for(
            lambda: (
                f"waiting for the model server at 127.0.0.1:{port}" in failure_of(lambda: recommend(address)).message
            ),
            "the reason names the model server",
        )
        with model_server(tmp_path, tmp_path / "model_server.log", port=port):
            wait_until_serving(address)
            assert health_status(address, SERVICE) == "SERVING"
            assert recommend(address) == [4, 6, 10]
        assert server.events("release active")[0]["dataset"] == "hand-made"
        assert "Unknown experiment" not in server.text()  # gRPC knows the switch that it is given


def test_serves_the_newest_release_and_picks_up_a_newer_one(tmp_path: Path) -> None:
    """The newest release is served, and a newer one replaces it without a restart."""
    publish_checkerboard(tmp_path)
    newest = publish_checkerboard(tmp_path, rotate_degrees=120)
    with (
        model_server(tmp_path, tmp_path / "model_server.log") as (_, model_server_address),
        recommender(tmp_path, model_server_address, tmp_path / "recommender.log") as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        stub, request = RecommenderServiceStub(channel), RecommendRequest(user_id=EVEN_USER, limit=3)
        wait_for(lambda: stub.Recommend(request).release == newest, "the newest release is active")
        newer = publish_checkerboard(tmp_path, rotate_degrees=240)
        wait_for(lambda: stub.Recommend(request).release == newer, "the newer release is active")
        assert movie_ids(stub.Recommend(request)) == [4, 6, 10]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("flip", "movies.ann: expected sha256"),
        ("truncate", "embeddings.npy: expected"),
        ("missing", "user_ids.npy: listed in the manifest, but there is no such file"),
        ("empty manifest", "manifest.json: expected format_version 2 or 3 or 4 or 5, got 0"),
        ("not json", "manifest.json:"),
        ("future", "manifest.json: expected format_version 2 or 3 or 4 or 5, got 6"),
        ("from another release", "embeddings.npy: expected sha256"),
        ("another model", "is not the one of this release: user"),
    ],
)
def test_a_broken_release_is_refused_and_an_older_served(
    two_releases: tuple[Path, str], tmp_path: Path, damage: str, complaint: str
) -> None:
    """A broken release is refused once in the log, by file and reason, and an older one is served."""
    artifacts, model_server_address = two_releases
    shutil.copytree(artifacts / "releases", tmp_path / "releases")
    good, bad = sorted(int(folder.name) for folder in (tmp_path / "releases").iterdir())
    _damage(tmp_path / "releases" / str(bad), damage)
    with (
        recommender(tmp_path, model_server_address, tmp_path / "recommender.log") as (server, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_for(lambda: server.events("release refused"), "a release is refused")
        wait_until_serving(address)
        response = RecommenderServiceStub(channel).Recommend(RecommendRequest(user_id=EVEN_USER, limit=3))
        assert response.release == good
        time.sleep(1.2)  # the next look at the folder must not repeat the line in the log
        (refusal,) = server.events("release refused")
        assert refusal["release"] == bad
        assert complaint in str(refusal["reason"])


@pytest.fixture(scope="module")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Yield (artifacts with two releases, address of a model server that serves both)."""
    artifacts = tmp_path_factory.mktemp("two")
    publish_checkerboard(artifacts)
    publish_checkerboard(artifacts, rotate_degrees=45)
    with model_server(artifacts, artifacts / "model_server.log") as (_, address):
        yield artifacts, address


def _damage(release: Path, damage: str) -> None:
    """Damage a release in one of the ways that the parameters above name."""
    manifest = release / "manifest.json"
    if damage == "flip":
        content = bytearray((release / "movies.ann").read_bytes())
        content[len(content) // 2] ^= 1
        (release / "movies.ann").write_bytes(content)
    elif damage == "truncate":
        content = bytearray((release / "embeddings.npy").read_bytes())
        (release / "embeddings.npy").write_bytes(content[:-8])
    elif damage == "from another release":
        other = min(release.parent.iterdir())
        shutil.copy(other / "embeddings.npy", release / "embeddings.npy")
    elif damage == "missing":
        (release / "user_ids.npy").unlink()
    elif damage == "empty manifest":
        manifest.write_text("{}")
    elif damage == "not json":
        manifest.write_text("{")
    else:
        fields = json.loads(manifest.read_text())
        if damage == "future":
            fields["format_version"] = 6
        else:
            for probe in fields["probes"]:
                probe["embedding"] = [-x for x in probe["embedding"]]
        manifest.write_text(json.dumps(fields))


def test_sigterm_lets_calls_in_progress_finish_and_exits_with_0(tmp_path: Path) -> None:
    """After SIGTERM a call in progress gets its answer, the exit status is 0, and the log has lines of JSON only."""
    metrics = {"METRICS_ADDRESS": "127.0.0.1:0"}
    release = tmp_path / "releases" / str(publish_checkerboard(tmp_path))
    with (
        faulty_model_server(release, tmp_path / "models.log") as (_, model_server_address, fault),
        recommender(
            tmp_path, model_server_address, tmp_path / "recommender.log", PREDICT_TIMEOUT_MS="9000", **metrics
        ) as (
            server,
            address,
        ),
        ThreadPoolExecutor() as pool,
    ):
        wait_until_serving(address)
        fault.write_text("hang")
        in_progress = pool.submit(recommend, address)
        wait_for_calls_in_progress(server, 1)
        server.send(signal.SIGTERM)
        server.wait_for_line('"stopping"')
        fault.unlink()
        assert in_progress.result(timeout=60) == [4, 6, 10]
        assert server.process.wait(timeout=30) == 0
        assert server.events("stopped")
        assert all(line.startswith("{") for line in server.text().splitlines())  # gRPC would name an unknown experiment


def test_many_callers_at_once_get_their_own_answers(recommender_address: str) -> None:
    """Concurrent calls for different users do not mix up their answers."""
    expected = {EVEN_USER: [4, 6, 10], ODD_USER: [3, 5, 7], UNKNOWN_USER: [1, 2, 8]}
    users = [list(expected)[i % 3] for i in range(150)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda user: recommend(recommender_address, user), users))
    assert answers == [expected[user] for user in users]


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("LISTEN_ADDRESS", "50051", "host:port"),
        ("TF_SERVING_ADDRESS", "localhost:http", "host:port"),
        ("PREDICT_TIMEOUT_MS", "0", "a whole number of at least 1"),
        ("WORKERS", "0", "a whole number of at least 1"),
        ("DEGRADED_ANSWERS", "perhaps", "true or false"),
        ("METRICS_ADDRESS", "9464", "host:port"),
        ("USER_CACHE_SIZE", "-1", "a whole number of at least 0"),
        ("MAX_CONCURRENT_CALLS", "many", "a whole number of at least 1"),
        ("SHUTDOWN_GRACE_S", "nan", "a number of seconds"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING or ERROR"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line(variable: str, value: str, expected: str) -> None:
    """A wrong environment variable ends the start with one line that names it, and status 2."""
    run = subprocess.run(
        [sys.executable, "-m", "recommender_service"], env={"PATH": "", variable: value}, capture_output=True, text=True
    )
    assert run.returncode == 2
    assert run.stderr == f"error: {variable}: expected {expected}, got {value!r}\n"


def test_the_service_imports_neither_tensorflow_nor_pandas() -> None:
    """The service loads neither TensorFlow, pandas nor our other packages."""
    script = "import recommender_service.server, sys; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "'grpc'" in loaded
    for name in ("tensorflow", "tensorflow_serving", "keras", "pandas", "scipy", "trainer", "serving"):
        assert f"'{name}'" not in loaded
