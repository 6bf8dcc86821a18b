"""The page's settings: read once, refused with one line, documented."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from tests.support.pages import get
from tests.support.releases import EVEN_USER
from tools import dev_certs
from tools.processes import START_TIMEOUT_S, wait_for
from tools.servers import model_server, page, recommender
from web.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"WEB_ADDRESS": "8080"}, "WEB_ADDRESS: expected host:port, got '8080'"),
        ({"WEB_HOSTS": " ,"}, "WEB_HOSTS: expected names of hosts, with commas between them, got ' ,'"),
        ({"RECOMMENDER_ADDRESS": ""}, "RECOMMENDER_ADDRESS: expected an address, got ''"),
        (
            {"RECOMMENDER_TIMEOUT_MS": "0"},
            "RECOMMENDER_TIMEOUT_MS: expected milliseconds from 1 to 600000, got '0'",
        ),
        ({"RECOMMENDER_TOKEN": "x"}, "RECOMMENDER_CA: expected a file, as a certificate or a token is set; got none"),
        ({"RECOMMENDER_KEY": "k"}, "RECOMMENDER_CERTIFICATE and RECOMMENDER_KEY: expected both or neither, got one"),
        ({"RECOMMENDER_CA": "/no/such"}, "RECOMMENDER_CA, RECOMMENDER_CERTIFICATE and RECOMMENDER_KEY: [Errno 2]"),
    ],
)
def test_a_wrong_setting_is_one_line(variables: dict[str, str], line: str) -> None:
    """The page does not start, and says which variable is wrong, what was expected and what came."""
    run = _run(variables)
    assert run.returncode == 2
    assert run.stderr.startswith(f"error: {line}")
    assert len(run.stderr.splitlines()) == 1


def test_a_taken_port_is_one_line() -> None:
    """The page does not start on a port that is taken, and names it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        run = _run({"WEB_ADDRESS": taken})
    assert run.returncode == 1
    assert run.stderr == f"error: WEB_ADDRESS: cannot listen on {taken}: Address already in use\n"


def test_the_table_of_settings_matches_the_code() -> None:
    """docs/web.md lists every variable of the page, no other, each with its default."""
    text = (ROOT / "docs" / "web.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| *`?([^`|]*?)`? *\|", text, re.MULTILINE))
    assert sorted(rows) == sorted(field.name.upper() for field in fields(Settings))
    assert Settings.from_environment({name: value for name, value in rows.items() if value}) == Settings()


@pytest.mark.slow
def test_tls_and_a_token_are_used(checkerboard_artifacts: Path, tmp_path: Path) -> None:
    """Over mutual TLS and with a token the page shows what the service says; without them it says who refused."""
    dev_certs.make(tmp_path / "certs")
    settings = dev_certs.service_settings(tmp_path / "certs")
    ours = dev_certs.page_settings(tmp_path / "certs")
    mutual = {name: value for name, value in settings.items() if not name.startswith("MODEL_SERVER")}
    with (
        model_server(checkerboard_artifacts, tmp_path / "models.log") as (_, target),
        recommender(checkerboard_artifacts, target, tmp_path / "service.log", **mutual) as (_, service),
    ):
        with page(service, tmp_path / "page.log", **ours) as (_, address):
            wait_for(lambda: get(address, "/user", {"user": EVEN_USER}).listed, "movies are listed", START_TIMEOUT_S)
        without = {name: value for name, value in ours.items() if name != "RECOMMENDER_TOKEN"}
        with page(service, tmp_path / "other.log", **without) as (_, address):
            refused = get(address, "/status")
            assert (refused.status, "UNAUTHENTICATED" in refused.text) == (502, True)


def _run(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WEB_ADDRESS": "127.0.0.1:0", **variables}
    command = [sys.executable, "-m", "web"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False)
