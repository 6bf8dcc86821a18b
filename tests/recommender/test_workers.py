"""Several worker processes that share one port."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from movie_recommender_client.connection import RETRIES

from tests.support.callers import Callers
from tests.support.metrics import Metrics
from tests.support.soak import SOAK_SECONDS
from tests.support.workers import Outcomes, is_alive, supervised, wait_for_workers, workers_of
from tools.processes import Server, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def supervisor(checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path) -> Iterator[tuple[Server, str]]:
    with supervised(checkerboard_artifacts, model_server_address, tmp_path / "log") as running:
        yield running


def test_a_killed_worker_costs_a_moment(supervisor: tuple[Server, str]) -> None:
    """A killed worker is replaced; a client that retries sees no failure, and calls of others fail once in a row."""
    server, address = supervisor
    retrying, plain = Outcomes(), Outcomes()
    callers = [
        Callers(address, 4, retrying.call, [("grpc.service_config", json.dumps(RETRIES))]),
        Callers(address, 2, plain.call, [("grpc.enable_retries", 0)]),
    ]
    kills, until = 0, time.monotonic() + SOAK_SECONDS
    try:
        while kills < 3 or time.monotonic() < until:
            os.kill(random.choice(workers_of(server)), signal.SIGKILL)
            kills += 1
            wait_for_workers(server, 2 + kills)
    finally:
        for caller in callers:
            caller.stop()
    total = sum(retrying.answers.values()) + sum(plain.answers.values())
    print(
        f"\n{total:,} answers, {kills} workers killed: {len(retrying.problems)} failures with retries; "
        f"without them {len(plain.problems)}, in {plain.losses} runs"
    )
    assert retrying.problems == []
    assert plain.losses <= 2 * kills  # each of the two callers has one connection
    assert set(retrying.answers) | set(plain.answers) == {(4, 6, 10)}
    assert len(server.events("worker died")) == kills


def test_sigterm_stops_every_worker_and_exits_with_0(supervisor: tuple[Server, str]) -> None:
    """SIGTERM to the supervisor stops all workers, and it exits with 0."""
    server, _ = supervisor
    workers = workers_of(server)
    assert len(workers) == 2
    assert server.stop(signal.SIGTERM) == 0
    assert not any(is_alive(pid) for pid in workers)


def test_workers_end_when_their_supervisor_is_killed(supervisor: tuple[Server, str]) -> None:
    """Workers do not outlive a supervisor that is killed."""
    server, _ = supervisor
    workers = workers_of(server)
    server.stop(signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, workers)), "the workers have ended")


def test_a_client_that_lives_long_reaches_every_worker(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> None:
    """Beyond MAX_CONNECTION_AGE_S a client connects anew: all workers answer one channel, and no call fails."""
    settings = {"MAX_CONNECTION_AGE_S": "0.2", "METRICS_ADDRESS": "127.0.0.1:0"}
    outcomes = Outcomes()
    with supervised(checkerboard_artifacts, model_server_address, tmp_path / "log", **settings) as (server, address):
        metrics = str(server.events("supervising")[0]["metrics"])
        caller = Callers(address, 1, outcomes.call)
        try:
            wait_for(lambda: all(answered_calls(metrics, worker) for worker in "01"), "both workers have answered")
        finally:
            caller.stop()
    assert outcomes.problems == []


def answered_calls(metrics: str, worker: str) -> float:
    """How many calls a worker says that it has answered."""
    return Metrics(metrics).sum("recommender_calls_total", worker=worker)
