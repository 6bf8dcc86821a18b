"""grpcurl, a client that learns the API by reflection, as a child process."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_grpcurl = pytest.mark.skipif(
    shutil.which("grpcurl") is None,
    reason="grpcurl is not on the PATH (go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest)",
)


def grpcurl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it with these arguments, and with more than its ten seconds for the connection."""
    command = ["grpcurl", "-connect-timeout", "60", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)
