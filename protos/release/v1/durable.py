"""Flushes folders to disk, so that a folder that appears by a rename has its contents even after a power cut."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def sync(folder: Path) -> None:
    """Flush every file and folder below `folder` to disk, so that no rename reaches the disk before the contents."""
    for root, _, names in os.walk(folder):
        for name in names:
            with (Path(root) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(root))


def sync_folder(folder: Path) -> None:
    """Flush the folder's own list of names to disk, if its file system can do that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # what network file systems answer
            raise
    finally:
        os.close(descriptor)
