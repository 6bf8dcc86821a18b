"""A trainer whose disk is full or read-only fails with one line, and a service beside it serves on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.privileges import needs_mounts

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900), needs_mounts]


def test_a_full_and_then_read_only_disk(tmp_path: Path) -> None:
    """The trainer says what is wrong and leaves nothing behind. The service answers from the release that it has."""
    command = ["unshare", "--mount", sys.executable, "-m", "tests.support.full_disk", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert (seen["full"]["status"], seen["full"]["answer"]) == (1, [4, 6, 10])
    assert seen["full"]["last line"] == "error: No space left on device: nothing was published"
    (release,) = seen["full"]["left"]
    assert release.isdecimal()
    assert (seen["read-only"]["status"], seen["read-only"]["answer"]) == (1, [4, 6, 10])
    disk = tmp_path / "disk"
    assert seen["read-only"]["last line"] == (
        f"error: {disk}: releases cannot be written to {disk / 'releases'}: Read-only file system"
    )
    assert seen["problems"] == []
