"""Measures how full the volume is that holds the releases."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from recommender_service.metrics import RELEASES_VOLUME_AVAILABLE_BYTES, RELEASES_VOLUME_BYTES


def measure_volume(folder: Path) -> None:
    """Record how full the folder's file system is, if the folder exists. Raises OSError."""
    with suppress(FileNotFoundError):
        usage = shutil.disk_usage(folder)
        RELEASES_VOLUME_BYTES.set(usage.total)
        RELEASES_VOLUME_AVAILABLE_BYTES.set(usage.free)
