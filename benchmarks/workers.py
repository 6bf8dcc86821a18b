"""Seconds until the recommender serves, memory of a worker, and how much more two workers answer than one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import uvloop

from benchmarks.figures import Figure, Goal, figure
from benchmarks.loads import TIMEOUT_S
from benchmarks.support import LOAD_CORE, SERVER_CORE, SERVICE, child_pids, cpu_seconds, memory_mb, on_cores
from tools.servers import health_status, recommender, wait_until_serving

SECTION = "Processes"
STARTS = 5
CONNECTIONS, CALLS = 32, 3_200  # for each worker
START_GOAL_S, MEMORY_GOAL_MB, SPEEDUP_GOAL = 1.5, 120, 1.8


def measure_workers(artifacts: Path, models: str, logs: Path, requests: list[bytes], rounds: int) -> Iterator[Figure]:
    """models: host:port of the model server.  requests: serialized requests of Recommend."""
    seconds = [_seconds_to_serving(artifacts, models, logs) for _ in range(STARTS)]
    yield figure(SECTION, "start of the process to SERVING", seconds, "s", Goal(START_GOAL_S))
    with ExitStack() as stack:
        one = stack.enter_context(_running(artifacts, models, logs, workers=1))
        two = stack.enter_context(_running(artifacts, models, logs, workers=2))
        speedups, of_one, of_two, busier = [], [], [], []
        for number in range(rounds + 1):
            (alone,), pair = (_cpu_of_calls(*each, requests) for each in (one, two))
            if number:  # the first fills the caches
                speedups.append(4 * alone / sum(pair))
                of_one.append(alone / CALLS * 1e6)
                of_two.append(sum(pair) / CALLS / 2 * 1e6)
                busier.append(max(pair) / sum(pair))
        memory = [memory_mb(pid) for pid in two[0]]
    private = [each["Private_Clean"] + each["Private_Dirty"] for each in memory]
    yield figure(
        SECTION,
        "memory that a worker shares with no other (two workers)",
        private,
        "MB",
        Goal(MEMORY_GOAL_MB),
        resident_mb=[each["Rss"] for each in memory],
        proportional_mb=[each["Pss"] for each in memory],
    )
    yield figure(
        SECTION,
        "calls that two workers answer in the CPU time of one, versus one worker",
        speedups,
        "×",
        Goal(SPEEDUP_GOAL, at_least=True),
        cpu_us_of_one=of_one,
        cpu_us_of_two=of_two,
        share_of_the_busier=busier,
    )


def _seconds_to_serving(artifacts: Path, models: str, logs: Path) -> float:
    with on_cores(SERVER_CORE):
        start = time.perf_counter()
        with recommender(artifacts, models, logs / "start.log") as (_, address):
            while health_status(address) != "SERVING":
                time.sleep(0.005)
            return time.perf_counter() - start


@contextmanager
def _running(artifacts: Path, models: str, logs: Path, workers: int) -> Iterator[tuple[list[int], str]]:
    """(process ids of the workers, host:port). Workers and load share both cores; what counts is CPU time."""
    log = logs / f"{workers}-workers.log"
    with ExitStack() as stack:
        with on_cores(SERVER_CORE | LOAD_CORE):
            server, address = stack.enter_context(recommender(artifacts, models, log, WORKERS=str(workers)))
        wait_until_serving(address)
        while len(server.events("release active")) < workers:
            time.sleep(0.05)
        yield child_pids(server.process.pid) or [server.process.pid], address


def _cpu_of_calls(pids: list[int], address: str, requests: list[bytes]) -> list[float]:
    """Seconds of CPU that each process uses for its share of the calls, one in flight on each connection."""
    before = [cpu_seconds(pid) for pid in pids]
    uvloop.run(_calls_over_connections(address, CONNECTIONS * len(pids), requests))
    return [cpu_seconds(pid) - start for pid, start in zip(pids, before, strict=True)]


async def _calls_over_connections(address: str, connections: int, requests: list[bytes]) -> None:
    own_connection = [("grpc.use_local_subchannel_pool", 1)]  # channels to one address share a connection otherwise
    async with asyncio.TaskGroup() as callers:
        for first in range(connections):
            callers.create_task(_caller(address, own_connection, requests[first::connections] or requests))


async def _caller(address: str, options: list[tuple[str, int]], requests: list[bytes]) -> None:
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        call: Any = channel.unary_unary(SERVICE + "Recommend")
        for number in range(CALLS // CONNECTIONS):
            await call(requests[number % len(requests)], timeout=TIMEOUT_S)
