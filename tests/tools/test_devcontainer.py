"""The development container names what is there. No container engine runs here, so it is not built."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.command_check import check
from tests.support.reader import PORTS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".devcontainer"
CONTAINER = json.loads((FOLDER / "devcontainer.json").read_text(encoding="utf-8"))
RECIPE = (FOLDER / CONTAINER["build"]["dockerfile"]).read_text(encoding="utf-8")


def test_it_is_set_up_by_a_make_target_and_works_in_its_venv() -> None:
    """The command after creation is a target of the Makefile; the editor takes the Python that it installs."""
    check(CONTAINER["postCreateCommand"])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    venv = re.search(r"^VENV := (\S+)$", makefile, re.MULTILINE)
    assert venv is not None
    settings = CONTAINER["customizations"]["vscode"]["settings"]
    assert settings["python.defaultInterpreterPath"] == f"${{containerWorkspaceFolder}}/{venv[1]}/bin/python"


def test_its_image_has_what_the_installation_needs() -> None:
    """It has a Python that the project supports, make and a compiler, and the user who works in it."""
    python = re.search(r"^FROM python:3\.(\d+)-slim-bookworm$", RECIPE, re.MULTILINE)
    assert python is not None
    assert f"python3.{python[1]}" in (ROOT / "Makefile").read_text(encoding="utf-8")
    installed = re.search(r"apt-get install .*", RECIPE)
    assert installed is not None
    assert {"g++", "make", "git"} <= set(installed[0].split())
    assert re.search(rf"useradd .* {CONTAINER['remoteUser']}$", RECIPE, re.MULTILINE)


def test_it_forwards_the_ports_of_make_serve() -> None:
    """Each port that `make serve` takes is forwarded, with a label."""
    assert sorted(CONTAINER["forwardPorts"]) == sorted(map(int, PORTS.values()))
    assert CONTAINER["portsAttributes"].keys() == set(PORTS.values())
