"""Recommenders of several worker processes, and what their callers see."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.releases import EVEN_USER
from tools.processes import Server, served
from tools.servers import wait_until_serving


@contextmanager
def supervised(artifacts: Path, model_server_address: str, log: Path, **settings: str) -> Iterator[tuple[Server, str]]:
    """Yield (supervisor, address) of two workers, once both are SERVING.  settings: environment of theirs."""
    environment = {
        "WORKERS": "2",
        "LISTEN_ADDRESS": "127.0.0.1:0",
        "RELEASES_DIR": str(artifacts / "releases"),
        "TF_SERVING_ADDRESS": model_server_address,
        **settings,
    }
    with served([sys.executable, "-m", "recommender_service"], log, environment) as server:
        address = server.wait_for_line(r'"event": "supervising", "address": "([^"]+)"')[1]
        wait_for_active(server, 2)
        wait_until_serving(address)
        yield server, address


def wait_for_active(server: Server, count: int) -> None:
    """Return once so many workers, dead ones included, have logged that a release is active."""
    deadline = time.monotonic() + 30
    while len(server.events("release active")) < count:
        assert time.monotonic() < deadline, server.text()[-2000:]
        time.sleep(0.05)


def workers_of(server: Server) -> list[int]:
    """Process ids of a supervisor's workers.  Linux only."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie.  Linux only."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Outcomes:
    """Counts the answers to calls for one user, by their movie ids, and keeps the errors."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[int, ...]] = Counter()
        self.problems: list[str] = []

    def call(self, stub: RecommenderServiceStub, user_id: int = EVEN_USER) -> None:
        try:
            response = stub.Recommend(RecommendRequest(user_id=user_id, limit=3), timeout=10, wait_for_ready=True)
            self.answers[tuple(scored.movie.movie_id for scored in response.movies)] += 1
        except grpc.RpcError as error:
            self.problems.append(str(error))
            # gRPC needs a moment to notice that the connection is lost. Calls made meanwhile are sent into it and fail.
            time.sleep(0.2)
