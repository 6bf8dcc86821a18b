"""The environment of processes whose file systems have no file locks, or those of NFS."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("flock_shim.c")

needs_shim = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None,
    reason="the stand-in for flock() needs Linux and a C compiler",
)


def flock_environment(mode: str, folder: Path) -> dict[str, str]:
    """Variables under which flock() behaves as the comment in flock_shim.c says.  folder: for the compiled library."""
    library = folder / "flock_shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "FLOCK_MODE": mode}
