"""Releases are swapped under load. No call fails, and no answer mixes one release's users with another's movies."""

from __future__ import annotations

import math
import time
from collections import Counter
from functools import partial
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import (
    SOURCE_FOLDED_IN,
    GetServingStatusRequest,
    RecommendRequest,
    SimilarMoviesRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from recommender_service.client.channel import PLAINTEXT, Access, connect
from tests.support.answers import STALLED
from tests.support.callers import Callers
from tests.support.jaeger import jaeger, needs_jaeger
from tests.support.old_formats import publish_old
from tests.support.releases import EVEN_USER, ODD_USER, publish_checkerboard
from tests.support.soak import SOAK_SECONDS
from tools import dev_certs
from tools.processes import Server, wait_for
from tools.servers import model_server, recommender, wait_until_serving
from tools.stack import running_stack
from trainer.cli.main import main
from trainer.release import catalogue

DURATION_S = SOAK_SECONDS or 12.0
CALLERS, PUBLISH_EVERY_S = 6, 3.0
# For each user, the three best movies: (movie id, degrees between movie and user before stretching).
BEST = {EVEN_USER: [(4, 4), (6, 6), (10, 10)], ODD_USER: [(3, 3), (5, 5), (7, 7)]}


class Load:
    """Callers that check every answer against the release that it names."""

    def __init__(self, address: str, access: Access, stretch_of: dict[int, float]) -> None:
        """Start the callers.  stretch_of: the stretch of each release, by version."""
        self.stretch_of = stretch_of
        self.answers: Counter[int] = Counter()
        self.degraded: Counter[str] = Counter()  # answers by reason, if no stall was the reason
        self.problems: list[str] = []
        self._callers = Callers(address, CALLERS, self._call, access=access)

    def stop(self) -> None:
        self._callers.stop()

    def _call(self, stub: RecommenderServiceStub) -> None:
        for user_id in BEST:
            self._ask(stub, user_id)
        self._ask_for_similar_movies(stub)

    def _ask(self, stub: RecommenderServiceStub, user_id: int) -> None:
        try:
            response = stub.Recommend(RecommendRequest(user_id=user_id, limit=3), timeout=60)
        except grpc.RpcError as error:
            self.problems.append(str(error))
            return
        self.answers[response.release] += 1
        if response.source == SOURCE_FOLDED_IN:
            if not STALLED.search(response.degraded_reason):
                self.degraded[response.degraded_reason] += 1
            return
        while response.release not in self.stretch_of and not self._callers.stopping.is_set():
            time.sleep(0.001)  # the release is served before the function that published it has returned its version
        stretch = self.stretch_of[response.release]
        for scored, (movie_id, degrees) in zip(response.movies, BEST[user_id], strict=True):
            expected = math.cos(math.radians(stretch * degrees))
            if scored.movie.movie_id != movie_id or abs(scored.score - expected) > 1e-4:
                self.problems.append(f"user {user_id}, release {response.release}: {response}")

    def _ask_for_similar_movies(self, stub: RecommenderServiceStub) -> None:
        try:
            response = stub.SimilarMovies(SimilarMoviesRequest(movie_id=2, limit=2), timeout=60)
        except grpc.RpcError as error:
            self.problems.append(str(error))
            return
        if len(response.movies) != 2:
            self.problems.append(f"like movie 2, release {response.release}: {response}")


@pytest.fixture(autouse=True)
def long_handover(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is withdrawn stays until a service that stalls has seen that its release is gone, too."""
    monkeypatch.setattr(catalogue, "HANDOVER_S", 15.0)


@pytest.mark.slow
def test_releases_are_swapped_under_load(tmp_path: Path) -> None:
    """No call fails, is degraded or mixes two releases while new ones are published and one is rolled back.

    The first release and every other one after it are of older formats, 2 and 3 in turn.
    """
    first = publish_old(tmp_path, publish_checkerboard, 2)
    with (
        model_server(tmp_path, tmp_path / "model_server.log", "--grpc_max_threads=64") as (_, model_server_address),
        recommender(tmp_path, model_server_address, tmp_path / "log", USER_CACHE_SIZE="1") as (server, address),
    ):
        wait_until_serving(address)
        _swap_under_load(tmp_path, first, server, address, PLAINTEXT)


@pytest.mark.slow
@needs_jaeger
@pytest.mark.long
def test_releases_are_swapped_with_tls_tokens_and_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with mutual TLS on both legs, tokens, every call traced, and events on."""
    first = publish_old(tmp_path, publish_checkerboard, 2)
    assert dev_certs.main([str(tmp_path / "certs")]) == 0
    with jaeger(tmp_path) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.collector)
        monkeypatch.setenv("USER_CACHE_SIZE", "1")
        with running_stack(tmp_path, certs=tmp_path / "certs") as stack:
            _swap_under_load(tmp_path, first, stack.servers[1], stack.recommender, stack.access)


def _swap_under_load(artifacts: Path, first: int, server: Server, address: str, access: Access) -> None:
    """Publish one release after the other and roll one back, while callers check every answer.

    first: the release that is active.
    """
    load = Load(address, access, {first: 1.0})
    published, after_first_swap = [first], 0
    started = time.monotonic()
    try:
        while time.monotonic() - started < DURATION_S:
            time.sleep(PUBLISH_EVERY_S)
            stretch = 1.0 + 0.1 * (len(published) % 40)
            publish = partial(publish_checkerboard, rotate_degrees=37.0 * len(published), stretch=stretch)
            is_old, format_version = len(published) % 2 == 0, 2 + len(published) // 2 % 3
            published.append(publish_old(artifacts, publish, format_version) if is_old else publish(artifacts))
            load.stretch_of[published[-1]] = stretch
            _wait_until_active(address, access, published[-1])
            wait_for(lambda: load.answers[published[-1]], "calls are answered from the new release")
            after_first_swap = after_first_swap or server.resident_kb()
        assert main(["releases", "rollback", "--artifacts", str(artifacts)]) == 0
        _wait_until_active(address, access, published[-2])
        time.sleep(1)
    finally:
        load.stop()
    grown = server.resident_kb() / after_first_swap
    print(
        f"\n{sum(load.answers.values()):,} answers, {len(published)} releases, 1 rollback: "
        f"{len(load.problems)} errors or mixed answers, {load.degraded.total()} degraded; memory × {grown:.2f}"
    )
    assert load.problems == []
    assert not load.degraded
    assert set(load.answers) == set(published)
    assert grown <= 1.2


def _wait_until_active(address: str, access: Access, version: int) -> None:
    with connect(address, access) as channel:
        stub = RecommenderServiceStub(channel)

        def active() -> int:
            return stub.GetServingStatus(GetServingStatusRequest(), timeout=60).release

        wait_for(lambda: active() == version, f"release {version} is active", 120)
