"""A run that is killed goes on where it was, and says truly how long it still takes."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainer.model import progress
from trainer.model.progress import Progress, progress_bar

EPOCHS = 60  # take seconds, so that the kill comes in the middle
PUBLISHED = ("embeddings.npy", "movies.ann", "similar_movies.npy", "movies.csv", "watched_rows.npy")


def training(artifacts: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.train_with_checkpoints", str(artifacts), str(EPOCHS)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def kill_after_a_checkpoint(process: subprocess.Popen[str], artifacts: Path) -> None:
    while not list((artifacts / "checkpoints").glob("*.npz")):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate()


def finish(process: subprocess.Popen[str]) -> str:
    """Wait until it has published, and return what it logged."""
    _, log = process.communicate(timeout=400)
    assert process.returncode == 0, log
    return log


def published(artifacts: Path) -> dict[str, bytes]:
    (release,) = (artifacts / "releases").iterdir()
    return {name: (release / name).read_bytes() for name in PUBLISHED}


@pytest.mark.slow
@pytest.mark.timeout(1200)  # several runs, each of which imports TensorFlow
@pytest.mark.long
def test_a_killed_run_goes_on_to_the_same_release(tmp_path: Path) -> None:
    """Killed in an epoch and started again, a run publishes the bytes of one that was left alone."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = training(killed)
    kill_after_a_checkpoint(process, killed)
    assert not list(killed.glob("releases/[0-9]*"))
    log = finish(training(killed))
    assert re.search(rf"goes on after epoch \d+ of {EPOCHS}", log), log
    assert "goes on" not in finish(training(whole))
    assert published(killed) == published(whole)
    assert not (killed / "checkpoints").exists()


@pytest.mark.slow
@pytest.mark.timeout(1200)  # several runs, each of which imports TensorFlow
@pytest.mark.long
def test_a_damaged_checkpoint_is_left_out(tmp_path: Path) -> None:
    """A checkpoint that cannot be read is named in the log, and the fit does not go on from it."""
    process = training(tmp_path)
    kill_after_a_checkpoint(process, tmp_path)
    for saved in (tmp_path / "checkpoints").glob("*.npz"):
        saved.write_bytes(saved.read_bytes()[:100])
    log = finish(training(tmp_path))
    assert re.search(rf"{tmp_path}/checkpoints/\w+\.\d+\.npz cannot be read, so the fit does not go on from it", log), (
        log
    )
    assert published(tmp_path)


@pytest.mark.parametrize("first", [1, 25])
def test_the_remaining_time_is_true(
    first: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Steady steps take as long as the log says they will, also if the first ones were done in an earlier run."""
    caplog.set_level(logging.INFO)
    step_s, clock = 20.0, [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    said: dict[float, str] = {}
    with progress_bar("fit") as on_progress:
        for step in range(first, 41):
            on_progress(Progress("training", step, 40))
            if caplog.records:
                said[clock[0]] = caplog.records.pop().getMessage()
            clock[0] += step_s
    end = clock[0] - step_s
    assert len(said) >= 2
    for at, message in said.items():
        assert f", {end - at:.0f} s left" in message
