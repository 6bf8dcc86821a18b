"""Run buf lint on protos/, and compare the public API with that of the last release by buf breaking."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.protos import DESCRIPTORS, ROOT, THIRD_PARTY

CONFIG = Path(__file__).with_name("buf.yaml")


def main() -> int:
    """Returns the exit status: that of buf, or 0 without buf."""
    if shutil.which("buf") is None:
        print("buf lint, buf breaking: skipped, buf is not on the PATH (npm install -g @bufbuild/buf)")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        return _lint(Path(scratch)) or _breaking(Path(scratch))


def _lint(workspace: Path) -> int:
    shutil.copy(CONFIG, workspace)
    # What the protos import lies beside them: buf would download it from its registry.
    shutil.copytree(ROOT / THIRD_PARTY, workspace / "googleapis")
    ours = shutil.ignore_patterns("*.py*", "__pycache__", Path(THIRD_PARTY).name)
    shutil.copytree(ROOT / "protos", workspace / "protos", ignore=ours)
    status = subprocess.run(["buf", "lint"], cwd=workspace).returncode
    if status == 0:
        print("buf lint: clean")
    return status


def _breaking(workspace: Path) -> int:
    base = _base()
    if base is None:
        print("buf breaking: skipped, there is neither a tag of a release nor an earlier commit to compare with")
        return 0
    before = workspace / "before.binpb"
    before.write_bytes(_git("show", f"{base}:{DESCRIPTORS}").stdout)
    command = ["buf", "breaking", str(ROOT / DESCRIPTORS), "--against", str(before)]
    status = subprocess.run(command, cwd=workspace).returncode
    if status == 0:
        print(f"buf breaking: compatible with {base}")
    return status


def _base() -> str | None:
    """The name of the commit to compare with, which must hold the API.

    It is the tag of the last release before this commit. A clone without such a tag takes the main branch, or else the
    commit before this one.
    """
    tags = _git("tag", "--list", "v[0-9]*", "--merged", "HEAD", "--sort=-version:refname").stdout.decode().split()
    for name in (*tags, "origin/main", "main", "HEAD~1"):
        commit = _git("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}").stdout.decode().strip()
        same = commit == _git("rev-parse", "HEAD").stdout.decode().strip()
        if commit and not same and _git("cat-file", "-e", f"{commit}:{DESCRIPTORS}").returncode == 0:
            return name
    return None


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
