"""CPU of the recommender process per Recommend, versus an empty gRPC echo of the same answer in the same run.

    make train && python -m benchmarks.serving_path

Another process keeps 32 calls in flight. The servers take turns, round by round. The table shows medians of user and
system time per call, and their ratios.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.support import cpu_seconds, newest_release
from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc
from tools.processes import Server, served
from tools.servers import model_server, recommender, wait_until_serving

ROUNDS, CALLS, IN_FLIGHT, LIMIT = 5, 2_000, 32, 10
CACHE_SIZES = {"Recommend, embedding from the cache": "100000", "Recommend, micro-batched Predict": "0"}
ECHO = "empty echo, grpc.aio"


def main(argv: Sequence[str]) -> None:
    artifacts, release = newest_release(argv, __doc__)
    user_ids = [int(user_id) for user_id in np.load(release / "user_ids.npy")]
    with _servers(artifacts, user_ids[0]) as servers:
        microseconds: dict[str, list[float]] = {name: [] for name in servers}
        for _ in range(ROUNDS):
            for name, (server, address) in servers.items():
                before = cpu_seconds(server.process.pid)
                asyncio.run(_load(address, user_ids))
                microseconds[name].append((cpu_seconds(server.process.pid) - before) / CALLS * 1e6)
    echo = statistics.median(microseconds[ECHO])
    print(f"{'CPU per call, 32 in flight':<44}{'µs':>8}{'÷ echo':>9}")
    for name, values in microseconds.items():
        print(f"{name:<44}{statistics.median(values):>8.0f}{statistics.median(values) / echo:>9.2f}")


@contextmanager
def _servers(artifacts: Path, user_id: int) -> Iterator[dict[str, tuple[Server, str]]]:
    """Case → (server, its host:port). The echo answers as the recommender does for this user."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        logs = Path(scratch)
        _, models = stack.enter_context(model_server(artifacts, logs / "model_server.log"))
        recommenders = {}
        for name, size in CACHE_SIZES.items():
            log = logs / f"cache-{size}.log"
            server, address = stack.enter_context(recommender(artifacts, models, log, USER_CACHE_SIZE=size))
            wait_until_serving(address)
            recommenders[name] = (server, address)
        with grpc.insecure_channel(address) as channel:
            stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
            answer = stub.Recommend(api.RecommendRequest(user_id=user_id, limit=LIMIT), timeout=10)
        command = [sys.executable, "-m", "benchmarks.echo_server", answer.SerializeToString().hex()]
        echo = stack.enter_context(served(command, logs / "echo.log", {}))
        yield {ECHO: (echo, echo.wait_for_line(r"echo at (\S+)")[1]), **recommenders}


async def _load(address: str, user_ids: Sequence[int]) -> None:
    """Make CALLS calls, IN_FLIGHT at a time. Answers stay undecoded, so that the caller leaves CPU to the server."""
    users = itertools.cycle(user_ids)
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(
            "/recommender.v1.RecommenderService/Recommend",
            request_serializer=api.RecommendRequest.SerializeToString,
        )

        async def caller() -> None:
            for _ in range(CALLS // IN_FLIGHT + 1):
                await call(api.RecommendRequest(user_id=next(users), limit=LIMIT), timeout=30)

        await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    main(sys.argv[1:])
