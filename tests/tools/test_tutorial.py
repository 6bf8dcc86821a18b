"""A reader who follows docs/tutorial.md gets what it shows."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.listings import Listing, is_shown, listings
from tools.processes import Server, served
from tools.servers import HOST, free_port

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
PORTS = {"recommender": "50051", "model-server": "8500", "web": "8080"}  # that `make serve` takes, by its flags
SET_UP, SERVE = "make install\n", "make serve\n"


class Reader:
    """Somebody who types the listings of a page into a terminal, with a second terminal for the servers.

    The folder stands for a clone that is set up already; the servers listen on free ports.
    """

    def __init__(self, folder: Path, second_terminal: ExitStack) -> None:
        self._folder, self._second_terminal = folder, second_terminal
        self._ports = {name: str(free_port()) for name in PORTS}
        (folder / ".venv").symlink_to(sys.prefix)
        self._environment = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'clients' / 'python'}"}

    def types(self, listing: Listing) -> str:
        """Return what the commands print.  Fails the test if they fail."""
        if listing.text == SET_UP:
            return ""  # whoever runs the tests has done it
        if listing.text == SERVE:
            self._serve()
            return ""
        shell = ["bash", "-euo", "pipefail", "-c"] if listing.language == "sh" else [".venv/bin/python", "-c"]
        run = subprocess.run(
            [*shell, self.here(listing.text)],
            cwd=self._folder,
            env={**os.environ, **self._environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
        )
        assert run.returncode == 0, f"{TUTORIAL.name}:{listing.line}: {run.stdout}"
        return run.stdout

    def here(self, text: str) -> str:
        """The text with the ports of this reader's servers."""
        for name, port in PORTS.items():
            text = text.replace(f"localhost:{port}", f"{HOST}:{self._ports[name]}")
        command_line_client = "-m recommender_service.client"
        return text.replace(command_line_client, f"{command_line_client} --address {HOST}:{self._ports['recommender']}")

    def _serve(self) -> None:
        recipe = re.search(r"^serve:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert recipe is not None
        assert "$(BIN)/python -m tools.serve" in recipe[1]
        flags = [f"--{name}-port={port}" for name, port in self._ports.items()]
        in_folder = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(self._folder)]
        command = [*in_folder, ".venv/bin/python", "-m", "tools.serve", *flags]
        server = self._second_terminal.enter_context(served(command, self._folder / "serve.log", self._environment))
        self._second_terminal.callback(self._interrupt, server)
        server.wait_for_line("Ctrl-C stops everything")

    @staticmethod
    def _interrupt(server: Server) -> None:
        assert server.stop(signal.SIGINT) == 0


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with ExitStack() as second_terminal:
        yield Reader(tmp_path, second_terminal)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("grpcurl") is None, reason="grpcurl is not on the PATH")
def test_the_tutorial_leads_from_a_csv_to_a_page(reader: Reader) -> None:
    """Every command of the tutorial, in order, does what is shown below it; then every address leads to a page."""
    printed = ""
    for listing in listings(TUTORIAL):
        if listing.language:
            printed = reader.types(listing)
        else:
            assert is_shown(listing.text, printed), f"{TUTORIAL.name}:{listing.line}: {printed}"
    assert "Space 13" not in printed.partition("recorded")[2]  # the last command asks for Ann, who has hidden it
    addresses = re.findall(r"<(http://localhost:8080\S*)>", TUTORIAL.read_text(encoding="utf-8"))
    assert len(addresses) == 3
    for address in addresses:
        with urlopen(reader.here(address), timeout=10) as page:
            assert "trained on shop" in page.read().decode()
