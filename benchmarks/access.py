"""CPU of the recommender process per Recommend with TLS and tokens, versus without them in the same run.

    make train && python -m benchmarks.access

Another process keeps 32 calls in flight on one connection, then one, and then makes one call on each of many
connections. The servers take turns, round by round, on a core of their own. The tables show medians of user and system
time per call, and the median over the rounds of their ratio to the case without.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.support import LOAD_CORE, SERVER_CORE, cpu_seconds, newest_release, on_cores
from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.client.channel import Access
from tools.dev_certs import client_access, make, service_settings
from tools.processes import Server
from tools.servers import model_server, recommender, wait_until_serving

ROUNDS, CALLS, CALLS_ALONE, CONNECTIONS, IN_FLIGHT, LIMIT = 9, 2_016, 500, 100, 32, 10
OFF = "neither"
CASES = {
    OFF: (),
    "TLS": ("TLS_CERTIFICATE", "TLS_KEY"),
    "mutual TLS": ("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA"),
    "tokens": ("TOKEN_FILE",),
    "mutual TLS and tokens": ("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA", "TOKEN_FILE"),
}


@dataclass(frozen=True)
class Case:
    """A running recommender, and what its clients trust and show."""

    server: Server
    address: str
    access: Access


def main(argv: Sequence[str]) -> None:
    artifacts, release = newest_release(argv, __doc__)
    user_ids = [int(user_id) for user_id in np.load(release / "user_ids.npy")]
    with _cases(artifacts) as cases, on_cores(LOAD_CORE):
        for load, count in ((_many_calls, CALLS), (_calls_alone, CALLS_ALONE), (_many_connections, CONNECTIONS)):
            microseconds: dict[str, list[float]] = {name: [] for name in cases}
            for _ in range(ROUNDS):
                for name, case in cases.items():
                    before = cpu_seconds(case.server.process.pid)
                    asyncio.run(load(case, user_ids))
                    microseconds[name].append((cpu_seconds(case.server.process.pid) - before) / count * 1e6)
            _print(load.__name__.strip("_").replace("_", " "), microseconds)


def _print(heading: str, microseconds: dict[str, list[float]]) -> None:
    print(f"{'CPU per call: ' + heading:<36}{'µs':>8}{'÷ neither':>11}")
    for name, values in microseconds.items():
        ratio = statistics.median(mine / off for mine, off in zip(values, microseconds[OFF], strict=True))
        print(f"{name:<36}{statistics.median(values):>8.0f}{ratio:>11.2f}")


@contextmanager
def _cases(artifacts: Path) -> Iterator[dict[str, Case]]:
    """The recommenders, which share a model server and have every user in their caches."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack, on_cores(SERVER_CORE):
        folder = Path(scratch)
        make(folder / "certs")
        settings, access = service_settings(folder / "certs"), client_access(folder / "certs")
        _, models = stack.enter_context(model_server(artifacts, folder / "models.log"))
        cases = {}
        for i, (name, variables) in enumerate(CASES.items()):
            chosen = {variable: settings[variable] for variable in variables}
            server, address = stack.enter_context(
                recommender(artifacts, models, folder / f"{i}.log", HEALTH_ADDRESS="127.0.0.1:0", **chosen)
            )
            wait_until_serving(server.wait_for_line(r'"health": "([^"]+)"')[1])
            shown = access if "TLS_KEY" in variables else Access()
            token = access.token if "TOKEN_FILE" in variables else ""
            cases[name] = Case(server, address, Access(shown.ca, shown.certificate, shown.key, token))
        yield cases


def _channel(case: Case) -> grpc.aio.Channel:
    """A channel with a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    if case.access.ca is None:
        return grpc.aio.insecure_channel(case.address, options=options)
    credentials = grpc.ssl_channel_credentials(case.access.ca, case.access.key, case.access.certificate)
    return grpc.aio.secure_channel(case.address, credentials, options=options)


async def _call(case: Case, channel: grpc.aio.Channel, user_id: int) -> None:
    """Make a call. The answer stays undecoded, so that the caller leaves CPU to the server."""
    recommend: Any = channel.unary_unary(
        "/recommender.v1.RecommenderService/Recommend", request_serializer=api.RecommendRequest.SerializeToString
    )
    metadata = (("authorization", f"Bearer {case.access.token}"),) if case.access.token else None
    await recommend(api.RecommendRequest(user_id=user_id, limit=LIMIT), metadata=metadata, timeout=30)


async def _many_calls(case: Case, user_ids: Sequence[int]) -> None:
    """Make CALLS calls on one connection, IN_FLIGHT at a time."""
    users = itertools.cycle(user_ids)
    async with _channel(case) as channel:

        async def caller() -> None:
            for _ in range(CALLS // IN_FLIGHT):
                await _call(case, channel, next(users))

        await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))


async def _calls_alone(case: Case, user_ids: Sequence[int]) -> None:
    """Make CALLS_ALONE calls on one connection, one after the other."""
    async with _channel(case) as channel:
        for user_id in itertools.islice(itertools.cycle(user_ids), CALLS_ALONE):
            await _call(case, channel, user_id)


async def _many_connections(case: Case, user_ids: Sequence[int]) -> None:
    """Make one call on each of CONNECTIONS connections, one after the other."""
    for user_id in user_ids[:CONNECTIONS]:
        async with _channel(case) as channel:
            await _call(case, channel, user_id)


if __name__ == "__main__":
    main(sys.argv[1:])
