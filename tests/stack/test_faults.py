"""What a caller sees when something fails. Each test is a row of the table in docs/failures.md."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import (
    RELEASE_STATE_ACTIVE,
    RELEASE_STATE_WAITING,
    SOURCE_FOLDED_IN,
    SOURCE_PERSONALIZED,
    SOURCE_POPULAR,
    GetServingStatusRequest,
    GetServingStatusResponse,
    RecommendRequest,
    RecommendResponse,
    SimilarMoviesRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import answer_in_a_hurry, first_answer, movie_ids, undegraded
from tests.support.errors import failure_of
from tests.support.faulty_model_server import faulty_model_server
from tests.support.releases import EVEN_USER, ODD_USER, UNKNOWN_USER, publish_checkerboard
from tools.processes import Server, served, wait_for
from tools.servers import free_port, health_status, model_server, recommender, wait_until_serving

pytestmark = pytest.mark.slow

RECOVERY_S = 60.0  # docs/failures.md promises 2 s; a busy machine may take longer


@dataclass(frozen=True)
class Stack:
    """A recommender and a model server that serve the checkerboard."""

    stub: RecommenderServiceStub
    address: str
    models: Server
    port: int

    def recommend(self, user_id: int) -> RecommendResponse:
        return self.stub.Recommend(RecommendRequest(user_id=user_id, limit=3), timeout=60)

    def wait_until_personal(self, when: str) -> None:
        wait_for(lambda: self.recommend(ODD_USER).source == SOURCE_PERSONALIZED, f"personal answers {when}", RECOVERY_S)

    def status(self) -> GetServingStatusResponse:
        return self.stub.GetServingStatus(GetServingStatusRequest(), timeout=60)


@contextmanager
def stack(artifacts: Path, **settings: str) -> Iterator[Stack]:
    """Yield a served checkerboard that holds the embedding of EVEN_USER in its cache."""
    port = free_port()  # which nothing else is given while the model server is away
    with (
        model_server(artifacts, artifacts / "model_server.log", port=port) as (models, model_server_address),
        served_checkerboard(artifacts, model_server_address, models, port, **settings) as running,
    ):
        yield running


@contextmanager
def faulty_stack(artifacts: Path, **settings: str) -> Iterator[tuple[Stack, Path]]:
    """The same with a model server that does wrong what the file says that is yielded, too."""
    release = artifacts / "releases" / str(publish_checkerboard(artifacts))
    with (
        faulty_model_server(release, artifacts / "faulty.log") as (models, model_server_address, fault),
        served_checkerboard(artifacts, model_server_address, models, 0, **settings) as running,
    ):
        yield running, fault


@contextmanager
def served_checkerboard(
    artifacts: Path, model_server_address: str, models: Server, port: int, **settings: str
) -> Iterator[Stack]:
    with (
        recommender(artifacts, model_server_address, artifacts / "recommender.log", **settings) as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        running = Stack(RecommenderServiceStub(channel), address, models, port)

        def holds_embedding() -> bool:
            with suppress(grpc.RpcError):  # UNAVAILABLE, where degraded answers are off
                return running.recommend(EVEN_USER).source == SOURCE_PERSONALIZED
            return False

        wait_for(holds_embedding, "the cache holds the embedding")
        yield running


def check_degraded(running: Stack, reason: str) -> None:
    """Check that everybody is answered as well as possible, and that degraded answers say why they are."""

    def ask(request: RecommendRequest) -> RecommendResponse:
        answer = running.stub.Recommend(request, timeout=60)
        assert answer.degraded_reason, answer
        return answer

    def degraded(request: RecommendRequest) -> RecommendResponse:
        """The first answer with that reason. A model server that stalls or has failed is left alone for a moment."""
        what = f"an answer is degraded, because {reason}"
        return first_answer(lambda: ask(request), lambda answer: reason in answer.degraded_reason, what)

    cached, unknown = map(running.recommend, (EVEN_USER, UNKNOWN_USER))
    assert (movie_ids(cached), cached.source, cached.degraded_reason) == ([4, 6, 10], SOURCE_PERSONALIZED, "")
    assert (unknown.source, unknown.degraded_reason) == (SOURCE_POPULAR, "")
    uncached = degraded(RecommendRequest(user_id=ODD_USER, limit=3))
    assert (movie_ids(uncached), uncached.source) == ([3, 5, 7], SOURCE_FOLDED_IN)
    new = degraded(RecommendRequest(liked_movie_ids=[1, 3], limit=3))
    assert (movie_ids(new), new.source) == ([5, 7, 9], SOURCE_FOLDED_IN)
    similar = running.stub.SimilarMovies(SimilarMoviesRequest(movie_id=2, limit=2), timeout=60)
    assert movie_ids(similar) == [8, 10]
    assert health_status(running.address) == "SERVING"


def test_model_server_killed_then_back(tmp_path: Path) -> None:
    """While the model server is dead all calls are answered; soon after it is back, personally."""
    publish_checkerboard(tmp_path)
    with stack(tmp_path) as running:
        running.models.stop(signal.SIGKILL)
        check_degraded(running, "the model server at")
        wait_for(lambda: not running.status().model_server.reachable, "the status tells")
        with model_server(tmp_path, tmp_path / "again.log", port=running.port):
            running.wait_until_personal("after the model server is back")


def test_model_server_restarted_without_a_model(tmp_path: Path) -> None:
    """A model server without a model counts as down until it is given one."""
    publish_checkerboard(tmp_path)
    models, moved = tmp_path / "models" / "user_embedding", tmp_path / "moved-away"
    with stack(tmp_path) as running:
        running.models.stop(signal.SIGKILL)
        shutil.move(models, moved)
        models.mkdir()
        flags = (f"--port={running.port}", "--model_name=user_embedding", f"--model_base_path={models}")
        with served([sys.executable, "-m", "serving", *flags], tmp_path / "empty.log", {}) as empty:
            empty.wait_for_line("no version of user_embedding")
            check_degraded(running, "the model server at")
            (version,) = moved.iterdir()
            shutil.move(version, models)
            empty.wait_for_line("Running gRPC ModelServer")
            running.wait_until_personal("after the model server has a model")


def test_model_server_hangs_then_goes_on(tmp_path: Path) -> None:
    """While the model server hangs all calls are answered within the timeout."""
    publish_checkerboard(tmp_path)
    with stack(tmp_path, PREDICT_TIMEOUT_MS="300") as running:
        running.models.send(signal.SIGSTOP)
        check_degraded(running, "the model server at")
        assert running.recommend(20).source == SOURCE_FOLDED_IN
        running.models.send(signal.SIGCONT)
        running.wait_until_personal("after the model server goes on")


def test_a_short_deadline_is_kept_while_the_model_server_hangs(tmp_path: Path) -> None:
    """A call with a short deadline gets a degraded answer in time."""
    with faulty_stack(tmp_path, PREDICT_TIMEOUT_MS="120000") as (running, fault):
        fault.write_text("hang")
        response = answer_in_a_hurry(running.stub, RecommendRequest(user_id=ODD_USER, limit=3))
        assert (movie_ids(response), response.source) == ([3, 5, 7], SOURCE_FOLDED_IN)


def test_without_degraded_answers_calls_are_unavailable(tmp_path: Path) -> None:
    """With DEGRADED_ANSWERS=false an embedding that cannot be had is UNAVAILABLE."""
    publish_checkerboard(tmp_path)
    with stack(tmp_path, DEGRADED_ANSWERS="false") as running:
        running.models.stop(signal.SIGKILL)
        failure = failure_of(lambda: running.recommend(ODD_USER))
        assert (failure.code, failure.reason) == ("UNAVAILABLE", "MODEL_SERVER_UNAVAILABLE")
        assert movie_ids(running.recommend(EVEN_USER)) == [4, 6, 10]


def test_model_server_restarted_with_only_an_old_version(tmp_path: Path) -> None:
    """The service goes back to the release whose version the model server offers."""
    old = publish_checkerboard(tmp_path)
    new = publish_checkerboard(tmp_path, rotate_degrees=120)
    with stack(tmp_path) as running:
        wait_for(lambda: running.status().release == new, "the newer release is active")
        running.models.stop(signal.SIGKILL)
        shutil.move(tmp_path / "models" / "user_embedding" / str(new), tmp_path / "moved-away")
        with model_server(tmp_path, tmp_path / "again.log", port=running.port):
            wait_for(lambda: running.status().release == old, "the service goes back to the release both sides have")
            response = undegraded(lambda: running.recommend(ODD_USER))
            assert (response.release, movie_ids(response), response.source) == (old, [3, 5, 7], SOURCE_PERSONALIZED)
            states = {status.release: status.state for status in running.status().releases}
            assert states == {new: RELEASE_STATE_WAITING, old: RELEASE_STATE_ACTIVE}
            shutil.move(tmp_path / "moved-away", tmp_path / "models" / "user_embedding" / str(new))
            wait_for(lambda: running.status().release == new, "the newest is served again")


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("version", "of user_embedding, got one from 2"),
        ("width", "expected float32[1, 2], got dtype 1 of shape [1, 3]"),
        ("dtype", "expected float32[1, 2], got dtype 9"),
        ("nan", "expected finite embeddings, got NaN or infinity"),
        ("hang", "did not answer within 0.5 s"),
        ("garbage", "expected a PredictResponse, got bytes that are none"),
    ],
)
def test_model_server_answers_wrongly(tmp_path: Path, fault: str, complaint: str) -> None:
    """A wrong answer of the model server leads to degraded answers that say what was wrong."""
    settings = {"PREDICT_TIMEOUT_MS": "500"} if fault == "hang" else {}
    with faulty_stack(tmp_path, **settings) as (running, fault_file):
        fault_file.write_text(fault)
        check_degraded(running, complaint)
        fault_file.unlink()
        time.sleep(0.6)
        running.wait_until_personal("again")


def test_the_releases_folder_is_emptied_under_a_running_service(tmp_path: Path) -> None:
    """The active release serves on after its files were deleted."""
    release = publish_checkerboard(tmp_path)
    with stack(tmp_path) as running:
        shutil.rmtree(tmp_path / "releases")
        time.sleep(1.5)
        response = running.recommend(ODD_USER)
        assert (response.release, movie_ids(response)) == (release, [3, 5, 7])


def test_the_status_answers_before_any_release_is_active(tmp_path: Path) -> None:
    """GetServingStatus says what the service waits for."""
    with (
        recommender(tmp_path, "127.0.0.1:1", tmp_path / "recommender.log") as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        stub, expected = RecommenderServiceStub(channel), f"a complete release in {tmp_path / 'releases'}"

        def status() -> GetServingStatusResponse:
            return stub.GetServingStatus(GetServingStatusRequest(), timeout=60)

        wait_for(lambda: status().waiting_for == expected, "the service has looked for releases")
        assert status().release == 0
        assert status().model_server.address == "127.0.0.1:1"
        assert not status().model_server.reachable
