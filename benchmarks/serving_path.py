"""CPU of the recommender process per Recommend, against an empty gRPC echo of the same answer in the same run.

    make train && python -m benchmarks.serving_path

32 calls in flight from another process, rounds in turn; medians of CPU time (user + system) per call, and their ratios.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import subprocess
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
from tools.processes import model_server, recommender, served, wait_until_serving

ROUNDS, CALLS, IN_FLIGHT, LIMIT = 5, 2_000, 32, 10
CACHES = {"Recommend, embedding from the cache": "100000", "Recommend, micro-batched Predict": "0"}
METHOD = "/recommender.v1.RecommenderService/Recommend"
ECHO = """
import asyncio, sys, grpc
from protos.recommender.v1 import recommender_pb2 as api, recommender_pb2_grpc
answer = api.RecommendResponse.FromString(bytes.fromhex(sys.argv[1]))
class Echo(recommender_pb2_grpc.RecommenderServiceServicer):
    async def Recommend(self, request, context):
        return answer
async def main():
    server = grpc.aio.server()
    recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(Echo(), server)
    print("echo at 127.0.0.1:%d" % server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()
asyncio.run(main())
"""


def main(argv: Sequence[str]) -> None:
    artifacts, release = newest_release(argv, __doc__)
    user_ids = [int(user_id) for user_id in np.load(release / "user_ids.npy")]
    with _servers(artifacts, user_ids[0]) as servers:
        microseconds: dict[str, list[float]] = {name: [] for name in servers}
        for _ in range(ROUNDS):
            for name, (process, address) in servers.items():
                before = cpu_seconds(process.pid)
                asyncio.run(_load(address, user_ids))
                microseconds[name].append((cpu_seconds(process.pid) - before) / CALLS * 1e6)
    echo = statistics.median(microseconds["empty echo, grpc.aio"])
    print(f"{'CPU per call, 32 in flight':<44}{'µs':>8}{'÷ echo':>9}")
    for name, values in microseconds.items():
        print(f"{name:<44}{statistics.median(values):>8.0f}{statistics.median(values) / echo:>9.2f}")


@contextmanager
def _servers(artifacts: Path, user_id: int) -> Iterator[dict[str, tuple[subprocess.Popen[bytes], str]]]:
    """name → (process, address)"""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        logs = Path(scratch)
        _, models = stack.enter_context(model_server(artifacts, logs / "model_server.log"))
        found = {}
        for name, cache in (
            ("Recommend, embedding from the cache", "100000"),
            ("Recommend, micro-batched Predict", "0"),
        ):
            server, address = stack.enter_context(
                recommender(artifacts, models, logs / f"cache-{cache}.log", USER_CACHE_SIZE=cache)
            )
            wait_until_serving(address)
            found[name] = (server.process, address)
        with grpc.insecure_channel(address) as channel:
            call: Any = channel.unary_unary(METHOD, request_serializer=api.RecommendRequest.SerializeToString)
            answer: bytes = call(api.RecommendRequest(user_id=user_id, limit=LIMIT), timeout=10)
        echo = stack.enter_context(served([sys.executable, "-c", ECHO, answer.hex()], logs / "echo.log", {}))
        yield {"empty echo, grpc.aio": (echo.process, echo.wait_for_line(r"echo at (\S+)")[1]), **found}


async def _load(address: str, user_ids: Sequence[int]) -> None:
    users = itertools.cycle(user_ids)
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(METHOD, request_serializer=api.RecommendRequest.SerializeToString)

        async def caller() -> None:
            for _ in range(CALLS // IN_FLIGHT + 1):
                await call(api.RecommendRequest(user_id=next(users), limit=LIMIT), timeout=30)

        await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    main(sys.argv[1:])
