"""What is no release among the releases, or may not be read, does not stop the trainer's commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.privileges import UNPRIVILEGED, needs_unprivileged
from tests.support.releases import publish_checkerboard
from trainer.release.catalogue import served_versions

pytestmark = [pytest.mark.slow, needs_unprivileged]


def trainer(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*UNPRIVILEGED, sys.executable, "-m", "trainer", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


@pytest.fixture
def artifacts(tmp_path: Path) -> Iterator[Path]:
    """Two releases, and beside them what is none: one of the folders may not be entered."""
    for _ in range(2):
        publish_checkerboard(tmp_path)
    releases = tmp_path / "releases"
    (releases / "20260101000000").mkdir(mode=0)
    (releases / "lost+found").mkdir(mode=0)
    (releases / ("9" * 20)).mkdir()
    (releases / "20260101000001").write_text("a file")
    (releases / "20260101000002").symlink_to("nowhere")
    yield tmp_path
    for name in ("20260101000000", "lost+found"):
        (releases / name).chmod(0o755)


def test_releases_are_listed(artifacts: Path) -> None:
    """`releases list` shows the two releases and nothing else."""
    run = trainer("releases", "list", "--artifacts", str(artifacts))
    assert run.returncode == 0, run.stderr
    assert [int(line.split()[0]) for line in run.stdout.splitlines()[1:]] == served_versions(artifacts)


def test_prune_keeps_a_folder_that_it_may_not_enter(artifacts: Path) -> None:
    """`prune` removes the older release, and names what may be in use for all that it can see."""
    older, newer = served_versions(artifacts)
    run = trainer("releases", "prune", "--keep=1", "--artifacts", str(artifacts))
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[:2] == [
        f"removed: {older}",
        "kept, because they may be in use (no file locks, or no permission): 20260101000000",
    ]
    assert served_versions(artifacts) == [newer]
    assert (artifacts / "releases" / "20260101000000").is_dir()
    assert (artifacts / "releases" / "lost+found").is_dir()


def test_a_release_is_published_under_a_number_that_fits(artifacts: Path) -> None:
    """A folder with a number of 20 digits does not lead to the next number, which would fit no int64."""
    assert publish_checkerboard(artifacts) < 10**14
