"""Several worker processes on one port."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.callers import Callers
from tests.support.releases import EVEN_USER
from tests.support.soak import SOAK_SECONDS
from tools.processes import Server, served, wait_until_serving

RETRY = {
    "methodConfig": [
        {
            "name": [{"service": "recommender.v1.RecommenderService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


@contextmanager
def supervised(artifacts: Path, model_server_address: str, log: Path) -> Iterator[tuple[Server, str]]:
    """(supervisor, address) of two workers, both SERVING."""
    environment = {
        "WORKERS": "2",
        "LISTEN_ADDRESS": "127.0.0.1:0",
        "RELEASES_DIR": str(artifacts / "releases"),
        "TF_SERVING_ADDRESS": model_server_address,
    }
    with served([sys.executable, "-m", "recommender_service"], log, environment) as server:
        address = server.wait_for_line(r'"event": "supervising", "address": "([^"]+)"')[1]
        wait_for_active(server, 2)
        wait_until_serving(address)
        yield server, address


def wait_for_active(server: Server, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(server.events("release active")) < count:
        assert time.monotonic() < deadline, server.text()[-2000:]
        time.sleep(0.05)


def workers_of(server: Server) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def supervisor(checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path) -> Iterator[tuple[Server, str]]:
    with supervised(checkerboard_artifacts, model_server_address, tmp_path / "log") as running:
        yield running


class Outcomes:
    """What calls for one user came to."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[int, ...]] = Counter()
        self.problems: list[str] = []

    def call(self, stub: RecommenderServiceStub) -> None:
        try:
            response = stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=3), timeout=10, wait_for_ready=True)
            self.answers[tuple(scored.movie.movie_id for scored in response.movies)] += 1
        except grpc.RpcError as error:
            self.problems.append(str(error))


def test_a_killed_worker_costs_its_calls_in_flight_and_nothing_behind_a_retrying_client(
    supervisor: tuple[Server, str],
) -> None:
    server, address = supervisor
    retrying, plain = Outcomes(), Outcomes()
    callers = [
        Callers(address, 4, retrying.call, [("grpc.service_config", json.dumps(RETRY))]),
        Callers(address, 2, plain.call, [("grpc.enable_retries", 0)]),
    ]
    kills, until = 0, time.monotonic() + SOAK_SECONDS
    try:
        while kills < 3 or time.monotonic() < until:
            os.kill(random.choice(workers_of(server)), signal.SIGKILL)
            kills += 1
            wait_for_active(server, 2 + kills)
    finally:
        for caller in callers:
            caller.stop()
    total = sum(retrying.answers.values()) + sum(plain.answers.values())
    print(
        f"\n{total:,} answers, {kills} workers killed: {len(retrying.problems)} failures with, {len(plain.problems)} "
        "without retries"
    )
    assert retrying.problems == []
    assert len(plain.problems) <= 2 * kills  # one call of each in flight
    assert set(retrying.answers) | set(plain.answers) == {(4, 6, 10)}
    assert len(server.events("worker died")) == kills


def test_sigterm_stops_every_worker_and_exits_with_0(supervisor: tuple[Server, str]) -> None:
    server, _ = supervisor
    workers = workers_of(server)
    assert len(workers) == 2
    assert server.stop(signal.SIGTERM) == 0
    assert not any(is_alive(pid) for pid in workers)


def test_workers_end_when_their_supervisor_is_killed(supervisor: tuple[Server, str]) -> None:
    server, _ = supervisor
    workers = workers_of(server)
    server.stop(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_taken_port_stops_the_start_with_one_line(recommender_address: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "recommender_service"],
        env={"PATH": "", "WORKERS": "2", "LISTEN_ADDRESS": recommender_address},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert run.returncode == 1
    assert run.stderr.startswith(f"error: cannot listen on {recommender_address}")
