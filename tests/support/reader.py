"""Somebody who follows a page: types its commands, in order, with a second terminal for the servers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.support.listings import Listing
from tools.processes import STOP_TIMEOUT_S, Server, served
from tools.servers import HOST, free_port

ROOT = Path(__file__).resolve().parents[2]
PORTS = {"recommender": "50051", "model-server": "8500", "web": "8080"}  # that `make serve` takes, by its flags
CLIENT = "-m recommender_service.client"
SET_UP, SERVE = "make install\n", "make serve\n"
TYPED_AS = {"--seconds 600": "--seconds 1"}  # a test has less patience than a reader


class Reader:
    """The folder stands for a clone that is set up already; the servers listen on free ports."""

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
            timeout=300,
        )
        assert run.returncode == 0, f"{listing.text}{run.stdout}"
        return run.stdout

    def here(self, text: str) -> str:
        """The text with the ports of this reader's servers."""
        for name, port in PORTS.items():
            text = text.replace(f"localhost:{port}", f"{HOST}:{self._ports[name]}")
        for as_written, as_typed in TYPED_AS.items():
            text = text.replace(as_written, as_typed)
        return text.replace(CLIENT, f"{CLIENT} --address {HOST}:{self._ports['recommender']}")

    def _serve(self) -> None:
        recipe = re.search(r"^serve:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert recipe is not None
        assert "$(BIN)/python -m tools.serve" in recipe[1]
        flags = [f"--{name}-port={port}" for name, port in self._ports.items()]
        in_folder = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(self._folder)]
        command = [*in_folder, ".venv/bin/python", "-m", "tools.serve", *flags]
        server = self._second_terminal.enter_context(served(command, self._folder / "serve.log", self._environment))
        self._second_terminal.callback(_expect_interruptible, server)
        server.wait_for_line("Ctrl-C stops everything")


def _expect_interruptible(server: Server) -> None:
    assert interrupt(server) == 0


def interrupt(server: Server) -> int:
    """Send what Ctrl-C sends, and return the exit status.  server: `make serve`, which stops its own servers first."""
    server.send(signal.SIGINT)
    return server.process.wait(5 * STOP_TIMEOUT_S)
