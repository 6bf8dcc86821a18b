"""Locks that tell whether a folder of artifacts is in use. The operating system releases those of a dead process.

A trainer holds the claim file in the folder that it writes, and a recommender shares the manifest of the release that
it serves. Files are locked and not folders, whose locks do not reach other hosts on NFS, and they are opened for
writing, because NFS grants no exclusive lock otherwise.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from protos.release.v1 import layout

CLAIM = ".claim"


class Use(Enum):
    """Whether another process has locked something."""

    FREE = "free"
    IN_USE = "in use"
    UNKNOWN = "its file system has no locks"


@contextmanager
def locked(path: Path) -> Iterator[Use]:
    """Try to lock a file for this process alone, and yield whether it was free. If it was, it is locked."""
    descriptor = _opened(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            use = Use.IN_USE
        except OSError:
            use = Use.UNKNOWN
        else:
            use = Use.FREE
        yield use
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR)
    except OSError:  # this process may only read it
        return os.open(path, os.O_RDONLY)


def use_of(folder: Path) -> Use:
    """Whether a trainer writes into this folder of a release or a recommender serves it. If it is gone, it is free."""
    uses = []
    for path in (folder / CLAIM, folder / layout.MANIFEST):
        try:
            with locked(path) as use:
                uses.append(use)
        except FileNotFoundError:
            continue
        except OSError:  # this process may not look into it
            uses.append(Use.UNKNOWN)
    return next((use for use in (Use.IN_USE, Use.UNKNOWN) if use in uses), Use.FREE)
