"""One version everywhere: pyproject.toml's is what every command prints and every file states."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from events.__main__ import COMMAND as EVENTS
from recommender_service.client.arguments import COMMAND as CLIENT
from trainer.cli.arguments import COMMAND as TRAINER

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION = PROJECT["version"]
MODULES = ["trainer", "recommender_service", "recommender_service.client", "events", "web"]
LABELS = {"title", "description", "licenses", "version", "revision", "source"}


@pytest.mark.parametrize("module", MODULES)
def test_every_command_prints_the_version(module: str) -> None:
    """`--version` prints the installed package's version, whatever is in the environment, and nothing else."""
    command = [sys.executable, "-m", module, "--version"]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=200, env={"EVENTS_URL": "", "METRICS_ADDRESS": "?"}
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, f"movie-recommender {version('movie-recommender')}\n", "")


def test_every_file_states_the_same_version() -> None:
    """So do the client's package, docker-compose.yml, the production overlay, and the changelog's newest release."""
    client = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text(encoding="utf-8"))
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    overlay = yaml.safe_load((ROOT / "deploy/k8s/overlays/production/kustomization.yaml").read_text(encoding="utf-8"))
    released = re.findall(r"^## \[([0-9.]+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    stated = {client["project"]["version"], compose["x-labels"]["VERSION"], released[0]}
    assert stated | {image["newTag"] for image in overlay["images"]} == {VERSION}


@pytest.mark.parametrize("image", ["recommender", "trainer", "web", "model-server-stand-in"])
def test_images_are_labelled(image: str) -> None:
    """Each image has the labels of the Open Container Initiative; Compose gives version, revision and source."""
    recipe = (ROOT / "deploy" / f"{image}.Dockerfile").read_text(encoding="utf-8")
    assert set(re.findall(r'org\.opencontainers\.image\.(\w+)="', recipe)) == LABELS
    assert 'ARG VERSION="" REVISION="" SOURCE=""' in recipe


def test_the_programs_are_the_ones_that_shells_complete() -> None:
    """The names for which completion is printed are those of the installed programs."""
    assert set(PROJECT["scripts"]) == {TRAINER, CLIENT, EVENTS}
