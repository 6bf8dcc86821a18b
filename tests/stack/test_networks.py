"""What callers see when the model server's host vanishes or moves. Each host is a network namespace."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.faulty_model_server import faulty_model_server
from tests.support.namespaces import Host, host, needs_namespaces
from tests.support.releases import publish_checkerboard
from tools.processes import Server, served, wait_for
from tools.servers import recommender

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_namespaces]

FIRST, SECOND = "10.77.0.2", "10.78.0.2"  # addresses of the two hosts for model servers
NOTICED_S = 120.0  # docs/failures.md promises 3 s; a busy machine may take longer
PERSONAL, DEGRADED = "SOURCE_PERSONALIZED", "SOURCE_FOLDED_IN"


@dataclass(frozen=True)
class Network:
    """A recommender that knows its model server by the name `models`, which is on the first of two hosts.

    cable: the name of the first host's network interface.  caller: asks for recommendations without a pause.
    """

    artifacts: Path
    here: Host
    first: Host
    second: Host
    cable: str
    models: Server
    caller: Server

    def wait_for_answers_from(self, models: Server) -> None:
        """Wait until that model server is asked, and answers are personal again."""

        def are_personal() -> bool:
            return "predict " in models.text() and self.caller.text().endswith(f"{PERSONAL}\n")

        wait_for(are_personal, "answers are personal again", NOTICED_S)


@contextmanager
def models_at(address: str, at: Host, artifacts: Path) -> Iterator[Server]:
    """A model server on a host of that address."""
    (release,) = (artifacts / "releases").iterdir()
    log = artifacts / f"{address}.log"
    with faulty_model_server(release, log, f"{address}:8500", prefix=at.command()) as (server, _, _):
        yield server


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    publish_checkerboard(tmp_path)
    with ExitStack() as stack:
        here, first, second = (stack.enter_context(host(tmp_path)) for _ in range(3))
        cable = here.connect(first, "10.77.0.1", FIRST)
        here.connect(second, "10.78.0.1", SECOND)
        here.names(models=FIRST)
        models = stack.enter_context(models_at(FIRST, first, tmp_path))
        log, settings = tmp_path / "recommender.log", {"LISTEN_ADDRESS": "127.0.0.1:50051", "USER_CACHE_SIZE": "0"}
        settings["PREDICT_TIMEOUT_MS"] = "500"
        service = recommender(tmp_path, "models:8500", log, prefix=here.command(), **settings)
        server, address = stack.enter_context(service)
        server.wait_for_line('"release active"')
        command = here.command(sys.executable, "-m", "tests.support.watch_source", address)
        caller = stack.enter_context(served(command, tmp_path / "caller.log", {}))
        caller.wait_for_line(PERSONAL)
        yield Network(tmp_path, here, first, second, cable, models, caller)


@pytest.mark.parametrize("how", ["cable cut", "silent"])
def test_another_host_takes_the_place_of_one_that_vanished(network: Network, how: str) -> None:
    """If the host vanishes without a word and its name leads to another, answers are personal again within seconds."""
    with models_at(SECOND, network.second, network.artifacts) as second:
        if how == "cable cut":
            network.first.run("ip", "link", "set", network.cable, "down")
        else:  # packets reach it, but nothing comes back
            network.first.run("ip", "route", "add", "blackhole", "10.77.0.1")
        network.here.names(models=SECOND)
        network.wait_for_answers_from(second)


@pytest.mark.parametrize("away_s", [0, 20])
def test_a_model_server_back_at_a_new_address_is_found(network: Network, away_s: float) -> None:
    """The name is unknown for a while, then leads to a new address: answers are personal again within seconds."""
    with models_at(SECOND, network.second, network.artifacts) as second:
        network.here.names()
        network.models.stop(signal.SIGKILL)
        network.caller.wait_for_line(DEGRADED)
        time.sleep(away_s)
        network.here.names(models=SECOND)
        network.wait_for_answers_from(second)
