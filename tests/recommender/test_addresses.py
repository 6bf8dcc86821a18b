"""The addresses that a recommender listens on, for calls and for metrics."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tools.servers import recommender, wait_until_serving

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::]", "[::1]"])
def test_calls_and_metrics_take_the_same_addresses(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path, host: str
) -> None:
    """LISTEN_ADDRESS and METRICS_ADDRESS take names and IPv6 addresses alike."""
    if "::" in host and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    settings = {"LISTEN_ADDRESS": f"{host}:0", "METRICS_ADDRESS": f"{host}:0"}
    log = tmp_path / "recommender.log"
    with recommender(checkerboard_artifacts, model_server_address, log, **settings) as (server, address):
        metrics = str(server.events("listening")[0]["metrics"])
        assert address.startswith(f"{host}:")
        assert metrics.startswith(f"{host}:")
        wait_until_serving(address)
        with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=30) as response:
            assert b"recommender_active_release" in response.read()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("variable", ["LISTEN_ADDRESS", "METRICS_ADDRESS"])
def test_a_taken_port_stops_the_start_with_one_line(recommender_address: str, workers: str, variable: str) -> None:
    """The service does not share a port with another one, be it for calls or for metrics: it exits with 1."""
    run = subprocess.run(
        [sys.executable, "-m", "recommender_service"],
        env={"PATH": "", "WORKERS": workers, "LISTEN_ADDRESS": "127.0.0.1:0", variable: recommender_address},
        capture_output=True,
        text=True,
        timeout=60,
    )
    purpose = "listen" if variable == "LISTEN_ADDRESS" else "serve metrics"
    last = run.stderr.splitlines()[-1]
    assert run.returncode == 1
    assert last == f"error: cannot {purpose} on {recommender_address}: Address already in use"
    assert len(run.stderr.splitlines()) == 1
