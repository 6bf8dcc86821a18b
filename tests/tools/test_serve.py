"""`make serve` as its user sees it: one command that runs the servers, or says in one line why it cannot."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import SOURCE_PERSONALIZED, RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import undegraded
from tests.support.reader import interrupt
from tests.support.releases import EVEN_USER
from tools.processes import STOP_TIMEOUT_S, Server, ServerError, served
from tools.servers import free_port

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Serve:
    """A running `make serve`."""

    command: Server
    recommender_port: int
    model_server_port: int

    def pid(self, name: str) -> int:
        """The process that it says runs the server of that name."""
        return int(self.command.wait_for_line(rf"{name} .*process (\d+)")[1])


@pytest.fixture
def clone(checkerboard_artifacts: Path, tmp_path: Path) -> Path:
    """A working directory with a published release in its artifacts folder."""
    folder = tmp_path / "clone"
    (folder / "artifacts").mkdir(parents=True)
    for name in ("models", "releases"):
        (folder / "artifacts" / name).symlink_to(checkerboard_artifacts / name)
    return folder


@contextmanager
def serving(clone: Path) -> Iterator[Serve]:
    """`make serve` in that working directory, once both of its servers are ready."""
    recommender_port, model_server_port = free_port(), free_port()
    in_clone = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(clone)]
    command = [*in_clone, *serve_command(recommender_port, model_server_port)]
    with served(command, clone / "serve.log", {"PYTHONPATH": str(ROOT)}) as server:
        server.wait_for_line("Ctrl-C stops everything")
        try:
            yield Serve(server, recommender_port, model_server_port)
        finally:
            interrupt(server)


def serve_command(recommender_port: int, model_server_port: int) -> list[str]:
    ports = [f"--recommender-port={recommender_port}", f"--model-server-port={model_server_port}"]
    ports.append(f"--web-port={free_port()}")
    return [sys.executable, "-m", "tools.serve", *ports]


def run_serve(clone: Path, recommender_port: int, model_server_port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        serve_command(recommender_port, model_server_port),
        cwd=clone,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )


def listening(ports: Sequence[int]) -> list[int]:
    found = []
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                found.append(port)
    return found


def source_of_answer(port: int) -> int:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = RecommenderServiceStub(channel)
        return undegraded(lambda: stub.Recommend(RecommendRequest(user_id=EVEN_USER), timeout=60)).source


@pytest.mark.slow
def test_serve_twice_says_which_ports_are_taken(clone: Path, tmp_path: Path) -> None:
    """The second `make serve` ends at once with both ports and a command that works; the first goes on."""
    with serving(clone) as first:
        ports = (first.recommender_port, first.model_server_port)
        second = run_serve(tmp_path, *ports)
        assert second.returncode == 1
        assert not (tmp_path / "artifacts").exists(), "no training has begun"
        assert len(second.stderr.splitlines()) == 1
        assert f"{ports[0]} (recommender)" in second.stderr
        assert f"{ports[1]} (model server)" in second.stderr
        assert re.search(r"make serve RECOMMENDER_PORT=\d+ MODEL_SERVER_PORT=\d+", second.stderr)
        assert source_of_answer(ports[0]) == SOURCE_PERSONALIZED


def test_a_taken_model_server_port_is_named(tmp_path: Path) -> None:
    """With only the model server's port taken, `make serve` ends at once and names the model server."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        run = run_serve(tmp_path, free_port(), port)
    assert run.returncode == 1
    assert not (tmp_path / "artifacts").exists(), "no training has begun"
    assert f"{port} (model server)" in run.stderr
    assert "(recommender)" not in run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model server", "recommender"])
def test_a_server_that_ends_ends_serve(clone: Path, name: str) -> None:
    """If either server is killed, `make serve` names it, its port and its last log lines, and stops the other."""
    with serving(clone) as running:
        ports = {"recommender": running.recommender_port, "model server": running.model_server_port}
        os.kill(running.pid(name), signal.SIGKILL)
        assert running.command.process.wait(5 * STOP_TIMEOUT_S) == 1
        (line, *_) = re.findall("^error: .*$", running.command.text(), re.MULTILINE)
        assert f"the {name} on port {ports[name]} was ended by SIGKILL" in line
        assert "the end of artifacts/logs/" in line
        last = (clone / "artifacts" / "logs" / f"{name.replace(' ', '_')}.log").read_text().splitlines()[-1]
        assert last in running.command.text()
        assert listening(list(ports.values())) == []


@pytest.mark.slow
def test_serve_prints_the_address_of_the_page(clone: Path) -> None:
    """The page is up when its address is printed, and shows what the recommender beside it says."""
    with serving(clone) as running:
        address = running.command.wait_for_line(r"page +(http://\S+), process")[1]
        with urlopen(f"{address}/user?user={EVEN_USER}", timeout=100) as page:
            assert f"<h1>User {EVEN_USER}</h1>" in page.read().decode()


@pytest.mark.slow
def test_an_interrupt_stops_both_servers(clone: Path) -> None:
    """Ctrl-C ends `make serve` with status 0 and frees both ports."""
    with serving(clone) as running:
        assert interrupt(running.command) == 0
        assert running.command.text().endswith("\nstopped\n")
        assert listening([running.recommender_port, running.model_server_port]) == []


def test_a_server_that_cannot_start_is_named(tmp_path: Path) -> None:
    """A server that ends while it starts is named, with its exit status and what it said last."""
    command = [sys.executable, "-c", "import sys; print('no such flag'); sys.exit(3)"]
    with (
        served(command, tmp_path / "log", {}, "the model server on port 8500") as server,
        pytest.raises(ServerError, match=r"the model server on port 8500 ended with status 3(.|\n)*no such flag"),
    ):
        server.wait_for_line("ready")
