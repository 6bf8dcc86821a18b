"""People on visits to recommenders: `… tests.support.visitors TARGET WAY USER…`, driven by lines on stdin.

WAY is `directly` or `by proxy`. `go` starts them and `pause` lets them end their visits. After the end of the input
each makes one more visit, and the program prints a JSON object with what `Visitors.seen` returns. A visit is an answer
of any release, and three more of it by its number.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import grpc
from movie_recommender_client import Recommender
from movie_recommender_client.v1 import recommender_pb2 as api

TIMEOUT_S = 30.0  # of a call, its retries included; on a busy machine a replica may stall for seconds
THREADS = 3
GONE_PAUSE_S = 0.02  # before another replica is asked for a release that one does not hold


class Visitors:
    """Threads, each with a connection of its own, and what they have seen."""

    def __init__(self, target: str, replicas: bool, users: Sequence[int]) -> None:
        """target, replicas: as `address` and `replicas` of the client."""
        self.running, self.stopping = threading.Event(), threading.Event()
        self.answers: Counter[str] = Counter()
        self.problems: list[str] = []
        self.repeated, self.visits, self.slowest_s = 0, 0, 0.0
        self._target, self._replicas, self._users = target, replicas, users
        self._threads = [threading.Thread(target=self._run) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def seen(self) -> dict[str, Any]:
        """Stop after one more visit of everybody, and return what was seen.

        answers: how often each, as text: release, user, degraded or not, best movie, its score.
        problems: failed calls, and answers of another release than was asked for.
        repeated: calls that another replica had to be asked, because one did not hold the release.
        """
        self.stopping.set()
        self.running.set()
        for thread in self._threads:
            thread.join()
        fields = ("answers", "problems", "repeated", "visits", "slowest_s")
        return {name: getattr(self, name) for name in fields}

    def _run(self) -> None:
        with Recommender(self._target, timeout_s=TIMEOUT_S, replicas=self._replicas) as recommender:
            stub = recommender.stub
            is_last = False
            while not is_last:
                is_last = self.stopping.is_set()  # asked first, so that the last visit begins after that
                self.running.wait()
                for user in self._users:
                    try:
                        self._visit(stub, user)
                    except grpc.RpcError as error:
                        self.problems.append(str(error))

    def _visit(self, stub: Any, user: int) -> None:
        started = api.RecommendRequest(user_id=user, limit=1)
        release = self._answer(stub.Recommend, started, 0)
        pinned = api.RecommendRequest(user_id=user, limit=1, release=release)
        similar = api.SimilarMoviesRequest(movie_id=2, limit=1, release=release)
        for method, request in ((stub.Recommend, pinned), (stub.SimilarMovies, similar), (stub.Recommend, pinned)):
            self._answer(method, request, release)
        self.visits += 1

    def _answer(self, method: Any, request: Any, release: int) -> int:
        """Call until a replica holds the release, check which one answers, and return it."""
        start = time.monotonic()
        while True:
            try:
                response = method(request, timeout=start + TIMEOUT_S - time.monotonic())
                break
            except grpc.RpcError as error:
                if not _is_gone(error):
                    raise
                self.repeated += 1
                time.sleep(GONE_PAUSE_S)
        self.slowest_s = max(self.slowest_s, time.monotonic() - start)
        if release and response.release != release:
            self.problems.append(f"asked for release {release}, got {response.release}")
        if isinstance(response, api.RecommendResponse):
            best = response.movies[0]
            fields = (response.release, request.user_id, bool(response.degraded_reason), best.movie.movie_id)
            self.answers[" ".join(map(str, (*fields, round(best.score, 4))))] += 1
        return int(response.release)


def _is_gone(error: grpc.RpcError) -> bool:
    """Whether the replica did not hold the release."""
    metadata: Any = error.trailing_metadata() if isinstance(error, grpc.Call) else None
    return any(b"RELEASE_GONE" in value for _, value in metadata or () if isinstance(value, bytes))


def main(target: str, way: str, *users: str) -> None:
    visitors = Visitors(target, way == "directly", [int(user) for user in users])
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "go":
            visitors.running.set()
        else:
            visitors.running.clear()
    print(json.dumps(visitors.seen()))


if __name__ == "__main__":
    main(*sys.argv[1:])
