"""The check that a change of the API breaks no client of the last release."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tools.protos import DESCRIPTORS, ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("buf") is None, reason="buf is not on the PATH (npm install -g @bufbuild/buf)"),
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the repository's history is not here"),
]


def test_a_change_is_compared_with_the_last_release(tmp_path: Path) -> None:
    """A field that was renumbered since the newest tag of a release is named; what came before that tag is not."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, clone], check=True)
    _renumber_a_field(clone, "released")
    for tag in ("v1.9.0", "v1.10.0"):
        _git(clone, "tag", tag)
    _git(clone, "commit", "--quiet", "--allow-empty", "--message=later")
    compatible = _lint(clone)
    assert compatible.returncode == 0, compatible.stdout
    assert "buf breaking: compatible with v1.10.0" in compatible.stdout
    _renumber_a_field(clone, "broken")
    broken = _lint(clone)
    assert broken.returncode != 0
    assert '"Movie"' in broken.stdout


def _renumber_a_field(clone: Path, message: str) -> None:
    """Commit a descriptor set in which the last field of `Movie` has the next number."""
    path = clone / DESCRIPTORS
    files = FileDescriptorSet.FromString(path.read_bytes())
    messages = [message for file in files.file for message in file.message_type if message.name == "Movie"]
    messages[0].field[-1].number += 1
    path.write_bytes(files.SerializeToString())
    _git(clone, "commit", "--quiet", "--all", f"--message={message}")


def _git(clone: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=clone, check=True)


def _lint(clone: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tools.proto_lint"], cwd=clone, capture_output=True, text=True)
