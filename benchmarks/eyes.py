"""CPU of the recommender process per Recommend with traces and metrics, versus without them in the same run.

    make train && python -m benchmarks.eyes [--before FOLDER]

Another process keeps 32 calls in flight, and takes the traces. The servers take turns, round by round, on a core of
their own. The tables show medians of user and system time per call, and the median over the rounds of their ratio to
the case without. --before names a checkout of another version of this repository, which takes part without traces.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent import futures
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.support import LOAD_CORE, SERVER_CORE, cpu_seconds, newest_release, on_cores
from protos.recommender.v1 import recommender_pb2 as api
from tools.processes import Server
from tools.servers import model_server, recommender, wait_until_serving

ROUNDS, CALLS, IN_FLIGHT, LIMIT = 9, 2_016, 32, 10
OFF, BEFORE = "neither", "another version"
SAMPLED = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
CASES = {
    OFF: {},
    "metrics": {"METRICS_ADDRESS": "127.0.0.1:0"},
    "traces of 1 %": {**SAMPLED, "OTEL_TRACES_SAMPLER_ARG": "0.01"},
    "traces of all": {**SAMPLED, "OTEL_TRACES_SAMPLER_ARG": "1"},
}
CACHES = {"from the cache": "100000", "by Predict": "0"}
EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--before", type=Path)
    own, others = parser.parse_known_args(argv)
    artifacts, release = newest_release(others, __doc__)
    user_ids = [int(user_id) for user_id in np.load(release / "user_ids.npy")]
    for heading, cache_size in CACHES.items():
        with _servers(artifacts, own.before, cache_size) as servers, on_cores(LOAD_CORE):
            microseconds: dict[str, list[float]] = {name: [] for name in servers}
            for round_ in range(ROUNDS + 1):
                for name, (server, address) in servers.items():
                    before = cpu_seconds(server.process.pid)
                    asyncio.run(_load(address, user_ids))
                    if round_:  # the first one fills caches
                        microseconds[name].append((cpu_seconds(server.process.pid) - before) / CALLS * 1e6)
            print(f"{'CPU per call, embedding ' + heading:<36}{'µs':>8}{'÷ neither':>11}")
            for name, values in microseconds.items():
                ratio = statistics.median(mine / off for mine, off in zip(values, microseconds[OFF], strict=True))
                print(f"{name:<36}{statistics.median(values):>8.0f}{ratio:>11.3f}", flush=True)


@contextmanager
def _servers(artifacts: Path, before: Path | None, cache_size: str) -> Iterator[dict[str, tuple[Server, str]]]:
    """Case → (server, its host:port). They share a model server and a collector."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack, on_cores(SERVER_CORE):
        logs = Path(scratch)
        collector = stack.enter_context(_collector())
        _, models = stack.enter_context(model_server(artifacts, logs / "models.log"))
        servers: dict[str, tuple[Server, str]] = {}
        for name, settings in {**CASES, **({BEFORE: {}} if before else {})}.items():
            endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector} if "traces" in name else {}
            prefix = ("env", "-C", str(before)) if name == BEFORE else ()
            log = logs / f"{len(servers)}.log"
            server, address = stack.enter_context(
                recommender(artifacts, models, log, prefix, USER_CACHE_SIZE=cache_size, **settings, **endpoint)
            )
            wait_until_serving(address)
            servers[name] = server, address
        yield servers


@contextmanager
def _collector() -> Iterator[str]:
    """The URL of a collector that takes traces and forgets them."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    take: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(EXPORT, {"Export": take}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop(None)


async def _load(address: str, user_ids: Sequence[int]) -> None:
    """Make CALLS calls, IN_FLIGHT at a time. Answers stay undecoded, so that the caller leaves CPU to the server."""
    users = itertools.cycle(user_ids)
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(
            "/recommender.v1.RecommenderService/Recommend", request_serializer=api.RecommendRequest.SerializeToString
        )

        async def caller() -> None:
            for _ in range(CALLS // IN_FLIGHT):
                await call(api.RecommendRequest(user_id=next(users), limit=LIMIT), timeout=30)

        await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    main(sys.argv[1:])
