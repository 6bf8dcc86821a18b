"""Copies of files in memory that nobody can change, shared by the workers of one service.

A volume belongs to others: a file that is served from it may be overwritten or cut short in place, and reading a mapped
file beyond its new end kills the process with SIGBUS. A copy in memory that the kernel has sealed stays as it is.

A worker finds the copies of its fellow workers under /proc by their names, so that each file is in memory once. Whoever
uses a copy compares it with a checksum first, so it does not matter who made it.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedIOBase
from pathlib import Path

CHUNK_BYTES = 1 << 20
PREFIX = "movie-recommender-"  # of the names of our files in memory
COPYING = "copying"  # the supervisor's file in memory, which a worker locks while it copies


def open_copying_lock() -> BufferedIOBase:
    """Return the file that the children of this process lock while they copy. They find it while it is open."""
    return _new_file(COPYING)


@contextmanager
def copying_alone() -> Iterator[list[int]]:
    """Wait until no fellow worker copies, and yield the process ids of all workers, without a supervisor none.

    So no two workers copy the same file at once.
    """
    supervisor = os.getppid()
    with ExitStack() as stack:
        locks = [stack.enter_context(lock) for lock in _held_by(supervisor, COPYING)]
        for lock in locks:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield _children(supervisor) if locks else []


def find_copy(name: str, pids: Iterable[int]) -> BufferedIOBase | None:
    """Open a sealed copy of that name which one of the processes holds; None if there is none."""
    for copy in (copy for pid in pids for copy in _held_by(pid, name)):
        if _is_sealed(copy):
            return copy
        copy.close()
    return None


def sealed_copy(source: BufferedIOBase, name: str, size: int) -> BufferedIOBase:
    """Copy the first `size` bytes of a file to memory and seal the copy. Raises OSError.

    name: what other workers find the copy by.
    """
    copy = _new_file(name)
    for left in range(size, 0, -CHUNK_BYTES):
        copy.write(source.read(min(left, CHUNK_BYTES)))
    copy.flush()
    if sys.platform == "linux":
        fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _seals())
    return copy


def path_of(copy: BufferedIOBase) -> Path:
    """A path by which this process can open the copy."""
    os.lseek(copy.fileno(), 0, os.SEEK_SET)  # where macOS starts to read
    return Path(f"/dev/fd/{copy.fileno()}")


def _new_file(name: str) -> BufferedIOBase:
    """A file without a path: in memory on Linux; on disk elsewhere, where it can be neither sealed nor found."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create(PREFIX + name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "r+b")
    return tempfile.TemporaryFile()


def _seals() -> int:
    return fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def _is_sealed(copy: BufferedIOBase) -> bool:
    return fcntl.fcntl(copy, fcntl.F_GET_SEALS) & _seals() == _seals()


def _children(pid: int) -> list[int]:
    with suppress(OSError):  # a kernel without CONFIG_PROC_CHILDREN
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _held_by(pid: int, name: str) -> Iterator[BufferedIOBase]:
    """Open the files in memory of that name which a process has open; none if it must not be looked into."""
    links: list[Path] = []
    with suppress(OSError):
        links = list(Path(f"/proc/{pid}/fd").iterdir())
    for link in links:
        with suppress(OSError):  # the process has closed it meanwhile
            if str(link.readlink()) == f"/memfd:{PREFIX}{name} (deleted)":
                yield link.open("rb")
