"""Loads on a server: calls that one process keeps in flight, and what they cost the server and the callers."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc
import uvloop

from benchmarks.support import cpu_seconds
from tools.processes import Server

TIMEOUT_S = 60


@dataclass(frozen=True)
class Load:
    """Calls of one RPC.

    method: /package.Service/RPC.  requests: serialized; they are sent in turn.
    in_flight: 1 makes each call wait for the one before.
    answers: how many answers a call asks for; costs are told for one.
    """

    method: str
    requests: Sequence[bytes]
    calls: int
    in_flight: int
    answers: int = 1


class Target(NamedTuple):
    """A server and its host:port."""

    server: Server
    address: str


class Costs(NamedTuple):
    """Microseconds: of the server's CPU per answer, of time per answer, and the median latency of a call."""

    cpu: float
    wall: float
    p50: float


def measure(target: Target, load: Load) -> Costs:
    """Make the calls and return what they cost. Raises grpc.RpcError if one fails."""
    pid = target.server.process.pid
    before = cpu_seconds(pid)
    wall, p50 = uvloop.run(_make_calls(target.address, load))
    answers = load.calls * load.answers
    return Costs((cpu_seconds(pid) - before) / answers * 1e6, wall / answers * 1e6, p50 * 1e6)


async def _make_calls(address: str, load: Load) -> tuple[float, float]:
    """Return (seconds that all calls took, median seconds of one). Bytes are neither encoded nor decoded."""
    requests, remaining, latencies = itertools.cycle(load.requests), iter(range(load.calls)), list[float]()
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(load.method)

        async def caller() -> None:
            for _ in remaining:
                start = time.perf_counter()
                await call(next(requests), timeout=TIMEOUT_S)
                latencies.append(time.perf_counter() - start)

        await channel.channel_ready()
        start = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(load.in_flight)))
        return time.perf_counter() - start, statistics.median(latencies)
