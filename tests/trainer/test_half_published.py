"""A trainer that is killed between its two renames leaves a release without a model, which nobody serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.releases import publish_checkerboard
from trainer.release.catalogue import served_versions
from trainer.release.prune import complete_publishing

pytestmark = pytest.mark.slow

DIE_BETWEEN_RENAMES = """
import os, pathlib, signal, sys, time
from tests.support.releases import publish_checkerboard
rename = pathlib.Path.rename
def rename_once(path, target):
    rename(path, target)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    print("half published", flush=True)
    time.sleep(600)
pathlib.Path.rename = rename_once
publish_checkerboard(pathlib.Path(sys.argv[1]))
"""


def half_publish(artifacts: Path, then: str = "die") -> subprocess.Popen[str]:
    """Start a trainer that has its release in place but not its model.  then: "die" or "stay"."""
    command = [sys.executable, "-c", DIE_BETWEEN_RENAMES, str(artifacts), then]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def trainer(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "trainer", *arguments], capture_output=True, text=True, timeout=250)


def test_if_none_completes_a_half_published_release(tmp_path: Path) -> None:
    """Its model is put in place, and only then is there nothing to do."""
    half_publish(tmp_path).wait()
    assert served_versions(tmp_path) == []
    run = trainer("--if-none", "--artifacts", str(tmp_path))
    assert run.returncode == 0
    (version,) = served_versions(tmp_path)
    assert run.stderr.splitlines() == [
        f"release {version}: its trainer was killed while it published; its model is in place now",
        f"release {version} is published in {tmp_path} already: nothing to do",
    ]


def test_if_none_trains_if_no_release_has_a_model(tmp_path: Path) -> None:
    """A release whose model is lost does not count: the trainer goes on to the data."""
    version = publish_checkerboard(tmp_path)
    model = tmp_path / "models" / "user_embedding" / str(version)
    model.rename(tmp_path / "lost")
    run = trainer("--if-none", "--artifacts", str(tmp_path), "--data", str(tmp_path / "no such folder"))
    assert run.returncode == 1
    assert "nothing to do" not in run.stderr
    assert "no such folder" in run.stderr


def test_prune_completes_a_half_published_release(tmp_path: Path) -> None:
    """`prune` says so, and then removes what is older."""
    older = publish_checkerboard(tmp_path)
    half_publish(tmp_path).wait()
    run = trainer("releases", "prune", "--keep=1", "--artifacts", str(tmp_path))
    (version,) = served_versions(tmp_path)
    assert run.stdout == f"completed: {version}, whose trainer was killed while it published\nremoved: {older}\n"
    assert list(tmp_path.rglob(".*")) == []


def test_what_a_living_trainer_is_publishing_is_left_alone(tmp_path: Path) -> None:
    """Between the renames of a trainer that lives, nothing is completed and `prune` removes nothing of it."""
    publisher = half_publish(tmp_path, "stay")
    try:
        assert publisher.stdout is not None
        assert publisher.stdout.readline() == "half published\n"
        assert complete_publishing(tmp_path) == []
        (release,) = (tmp_path / "releases").iterdir()
        run = trainer("releases", "prune", "--keep=1", "--artifacts", str(tmp_path))
        assert run.stdout == f"removed: nothing\nkept, because in use: {release.name}\n"
        assert served_versions(tmp_path) == []
    finally:
        publisher.kill()
        publisher.wait()
    assert complete_publishing(tmp_path) == [int(release.name)] == served_versions(tmp_path)
