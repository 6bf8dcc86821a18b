"""A proxy for the web that the environment names, and that knows none of our servers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.servers import recommender, wait_until_serving

pytestmark = pytest.mark.slow

# Nobody listens on the port. Empty lists of exceptions take the place of those that this machine may have.
PROXY = dict.fromkeys(("grpc_proxy", "https_proxy", "http_proxy"), "http://127.0.0.1:9")
NO_EXCEPTIONS = dict.fromkeys(("no_grpc_proxy", "no_proxy", "NO_PROXY"), "")


def test_the_service_does_not_call_through_a_proxy(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> None:
    """With a proxy in its environment, the service reaches its model server and becomes SERVING."""
    settings = {**PROXY, **NO_EXCEPTIONS}
    with recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", **settings) as (_, address):
        wait_until_serving(address)


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "recommender_service.client", "--address", "ADDRESS", "health"),
        ("-c", "from tools.servers import wait_until_serving; wait_until_serving('ADDRESS'); print('SERVING')"),
    ],
    ids=["client", "tools"],
)
def test_health_checks_do_not_go_through_a_proxy(recommender_address: str, command: tuple[str, ...]) -> None:
    """With a proxy in their environment, the client and the tools reach a recommender on this machine."""
    arguments = [argument.replace("ADDRESS", recommender_address) for argument in command]
    run = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **PROXY, **NO_EXCEPTIONS},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (run.returncode, run.stdout) == (0, "SERVING\n"), run.stderr
