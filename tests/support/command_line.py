"""Runs the command-line client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from types import MappingProxyType


def client(
    address: str, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Run the client to its end.  environment: is added to this process's."""
    command = [sys.executable, "-m", "recommender_service.client", "--address", address, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, env={**os.environ, **environment})
