"""Events per second that RecordEvents makes durable, versus a bare INSERT; and what events cost other calls.

    make train && python -m benchmarks.events

The bare INSERT writes the same rows, with the same index, by Python's sqlite3 module in this process: a commit for each
row, or for each thousand. RecordEvents is called by another process. The last two lines are CPU per Recommend of
users without events, 32 in flight, from the cache; the servers take turns, round by round.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import grpc
import numpy as np

from benchmarks.support import cpu_seconds, newest_release
from events.event import Event, Kind
from events.store import EventStore
from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc
from tools.processes import Server
from tools.servers import model_server, recommender, wait_until_serving

SINGLE, BATCHES, BATCH = 1_000, 50, 1_000
AT_ONCE = 32
HELD = 1_000_000
ROUNDS, CALLS, IN_FLIGHT = 5, 2_000, 32
INSERT = "INSERT INTO events VALUES (?, ?, ?, 1, 0, ?, ?, NULL, NULL)"


def main(argv: Sequence[str]) -> None:
    artifacts, release = newest_release(argv, __doc__)
    user_ids = [int(user_id) for user_id in np.load(release / "user_ids.npy")]
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        _, models = stack.enter_context(model_server(artifacts, folder / "models.log"))
        for name in ("bare", "calls"):
            EventStore(_url(folder, name)).prepare()
        with recommender(artifacts, models, folder / "calls.log", EVENTS_URL=_url(folder, "calls")) as (_, address):
            wait_until_serving(address)
            _compare_writing(folder / "bare.db", address)
        _fill(EventStore(_url(folder, "held")), max(user_ids) + 1)
        servers: dict[str, tuple[Server, str]] = {}
        for name, url in (("events off", ""), (f"{HELD:,} events held, none of these users'", _url(folder, "held"))):
            log = folder / f"{len(servers)}.log"
            servers[name] = stack.enter_context(recommender(artifacts, models, log, EVENTS_URL=url))
            wait_until_serving(servers[name][1])
        microseconds: dict[str, list[float]] = {name: [] for name in servers}
        for round_ in range(ROUNDS + 1):
            for name, (server, address) in servers.items():
                before = cpu_seconds(server.process.pid)
                asyncio.run(_recommend(address, user_ids))
                if round_:  # the first one fills the caches
                    microseconds[name].append((cpu_seconds(server.process.pid) - before) / CALLS * 1e6)
    for name, values in microseconds.items():
        print(f"{'Recommend, ' + name:<60}{statistics.median(values):>8.0f} µs of CPU")


def _url(folder: Path, name: str) -> str:
    return f"sqlite:///{folder / name}.db"


def _compare_writing(bare: Path, address: str) -> None:
    """Print events per second of each way to write."""
    numbers = itertools.count(1)
    with sqlite3.connect(bare, isolation_level=None) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        _print_rate("bare INSERT, one in a commit", SINGLE, 1, lambda: _insert(connection, _rows(numbers, 1)))
        _print_rate(
            "bare INSERT, 1,000 in a commit", BATCHES, BATCH, lambda: _insert(connection, _rows(numbers, BATCH))
        )
    with grpc.insecure_channel(address) as channel:
        record = recommender_pb2_grpc.RecommenderServiceStub(channel).RecordEvents
        _print_rate("RecordEvents, one event, one call at a time", SINGLE, 1, lambda: record(_request(numbers, 1)))
        _print_rate("RecordEvents, 1,000 events", BATCHES, BATCH, lambda: record(_request(numbers, BATCH)))
    started = time.perf_counter()
    asyncio.run(_record_at_once(address, numbers))
    rate = SINGLE / (time.perf_counter() - started)
    print(f"{f'RecordEvents, one event, {AT_ONCE} calls at a time':<60}{rate:>8,.0f} events/s")


def _print_rate(name: str, times: int, count: int, write: Callable[[], object]) -> None:
    started = time.perf_counter()
    for _ in range(times):
        write()
    print(f"{name:<60}{times * count / (time.perf_counter() - started):>8,.0f} events/s")


def _rows(numbers: Iterator[int], count: int) -> list[tuple[object, ...]]:
    return [(n, n % 600, n % 9_000, n, str(uuid.uuid4())) for n in itertools.islice(numbers, count)]


def _insert(connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(INSERT, rows)
    connection.execute("COMMIT")


def _request(numbers: Iterator[int], count: int) -> api.RecordEventsRequest:
    return api.RecordEventsRequest(
        events=[
            api.Event(event_id=str(uuid.uuid4()), user_id=n % 600, movie_id=n % 9_000, kind=api.EVENT_KIND_WATCHED)
            for n in itertools.islice(numbers, count)
        ]
    )


async def _record_at_once(address: str, numbers: Iterator[int]) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = recommender_pb2_grpc.RecommenderServiceStub(channel)

        async def caller() -> None:
            for _ in range(SINGLE // AT_ONCE):
                await stub.RecordEvents(_request(numbers, 1))

        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))


def _fill(store: EventStore, first_user: int) -> None:
    """Append events of 25,000 users from `first_user` on."""
    store.prepare()
    for first in range(0, HELD, BATCH):
        numbers = range(first, first + BATCH)
        store.append([Event(str(n), first_user + n % 25_000, "", n % 9_000, "", Kind.WATCHED, 0.0, n) for n in numbers])


async def _recommend(address: str, user_ids: Sequence[int]) -> None:
    users = itertools.cycle(user_ids)
    async with grpc.aio.insecure_channel(address) as channel:
        stub = recommender_pb2_grpc.RecommenderServiceStub(channel)

        async def caller() -> None:
            for _ in range(CALLS // IN_FLIGHT):
                await stub.Recommend(api.RecommendRequest(user_id=next(users)), timeout=30)

        await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    main(sys.argv[1:])
