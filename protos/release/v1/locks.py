"""Locks on files, which tell whether another process uses what a file stands for.

The operating system releases those of a dead process. A recommender shares the lock of the manifest that it serves;
whoever wants to write or to remove something tries to have the lock alone. Files are locked and not folders, whose
locks do not reach other hosts on NFS, and they are opened for writing, because NFS grants no exclusive lock otherwise.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path


class Use(Enum):
    """Whether another process has locked something."""

    FREE = "free"
    IN_USE = "in use"
    UNKNOWN = "its file system has no locks"


@contextmanager
def locked(path: Path) -> Iterator[Use]:
    """Try to lock a file for this process alone, and yield whether it was free. If it was, it is locked.

    Raises OSError if the file cannot be opened.
    """
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
