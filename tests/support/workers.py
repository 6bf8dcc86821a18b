"""Recommenders of several worker processes, and what their callers see."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.releases import EVEN_USER
from tools.processes import START_TIMEOUT_S, Server, served, wait_for
from tools.servers import wait_until_serving


@contextmanager
def supervised(artifacts: Path, model_server_address: str, log: Path, **settings: str) -> Iterator[tuple[Server, str]]:
    """Yield (supervisor, address) of two workers, once both listen and are SERVING.  settings: as of `recommender`."""
    environment = {
        "WORKERS": "2",
        "LISTEN_ADDRESS": "127.0.0.1:0",
        "RELEASES_DIR": str(artifacts / "releases"),
        "TF_SERVING_ADDRESS": model_server_address,
        **settings,
    }
    with served([sys.executable, "-m", "recommender_service"], log, environment) as server:
        address = server.wait_for_line(r'"event": "supervising", "address": "([^"]+)"')[1]
        wait_for_workers(server, 2)
        wait_until_serving(address)
        yield server, address


def wait_for_workers(server: Server, count: int) -> None:
    """Return once so many workers, dead ones included, have had an active release and have listened."""
    wait_for(
        lambda: all(len(server.events(event)) >= count for event in ("release active", "listening")),
        f"{count} workers listen",
        START_TIMEOUT_S,
    )


def workers_of(server: Server) -> list[int]:
    """Process ids of a supervisor's workers.  Linux only."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie.  Linux only."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it has ended, the second while its file was open
        return False


class Outcomes:
    """Counts the answers to calls for one user, by their movie ids, and keeps the errors.

    losses: how often a caller's calls began to fail. Those that fail one after another count once.
    """

    def __init__(self) -> None:
        self.answers: Counter[tuple[int, ...]] = Counter()
        self.problems: list[str] = []
        self.losses = 0
        self._failing: set[RecommenderServiceStub] = set()

    def call(self, stub: RecommenderServiceStub, user_id: int = EVEN_USER) -> None:
        try:
            response = stub.Recommend(RecommendRequest(user_id=user_id, limit=3), timeout=30)
            self.answers[tuple(scored.movie.movie_id for scored in response.movies)] += 1
            self._failing.discard(stub)
        except grpc.RpcError as error:
            self.problems.append(str(error))
            self.losses += stub not in self._failing
            self._failing.add(stub)
