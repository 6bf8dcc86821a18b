"""The files of a release as sealed copies that were compared with the checksums in its manifest."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.layout import FORMATS, MANIFEST, MOVIES
from recommender_service.free_memory import free_memory
from recommender_service.release_files import ReleaseError
from recommender_service.sealed_files import copying_alone, find_copy, path_of, sealed_copy

# What a worker makes of a release beside the files, above all of the movie table and its titles, takes about so many
# times the size of that table: 130 MB for 60,000 movies.
OBJECTS_PER_TABLE = 60
NOTHING = frozenset[str]()


@dataclass(frozen=True)
class VerifiedFile:
    """A file of a release.

    original: where it was read, which messages name.
    copy: what it held when it was verified. Other workers find the copy for as long as it is open.
    """

    original: Path
    copy: BufferedIOBase

    def __str__(self) -> str:
        return str(self.original)

    @property
    def path(self) -> Path:
        """The path by which this process opens the copy."""
        return path_of(self.copy)


def verified_files(folder: Path, manifest: pb.Manifest, without: frozenset[str] = NOTHING) -> dict[str, VerifiedFile]:
    """Return by name the files of the release's format, each with the size and sha256 that the manifest states.

    without: names of files that are not needed.  Raises ReleaseError.
    """
    needed, listed = FORMATS[manifest.format_version].files, {file.name: file for file in manifest.files}
    missing = needed - listed.keys()
    if missing:
        raise ReleaseError(f"{folder / MANIFEST}: expected to list {', '.join(sorted(missing))}, got no such entry")
    objects = OBJECTS_PER_TABLE * listed[MOVIES].size
    return {name: _verified(folder / name, listed[name], objects) for name in sorted(needed - without)}


def _verified(path: Path, expected: pb.File, objects: int) -> VerifiedFile:
    if not re.fullmatch("[0-9a-f]{64}", expected.sha256):
        raise ReleaseError(f"{path}: expected a sha256 of 64 hex digits in the manifest, got {expected.sha256[:40]!r}")
    with copying_alone() as workers:
        found = find_copy(expected.sha256, workers)
        copy = found or _copied(path, expected, objects)
    digest = _digest(copy)
    if found and digest != expected.sha256:  # of a damaged file, and its worker is about to drop it
        copy = _copied(path, expected, objects)
        digest = _digest(copy)
    if digest != expected.sha256:
        raise ReleaseError(f"{path}: expected sha256 {expected.sha256}, got {digest}")
    return VerifiedFile(path, copy)


def _digest(copy: BufferedIOBase) -> str:
    with path_of(copy).open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _copied(path: Path, expected: pb.File, objects: int) -> BufferedIOBase:
    """Return a sealed copy of the file in memory, if so many bytes of memory are left afterwards."""
    try:
        with open(path, "rb", opener=_open_without_waiting) as source:
            status = os.fstat(source.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError
            if status.st_size != expected.size:
                raise ReleaseError(f"{path}: expected {expected.size} bytes, got {status.st_size}")
            free = free_memory()
            if expected.size + objects > free:
                raise ReleaseError(
                    f"{path}: expected {(expected.size + objects) / 1e6:.0f} MB of memory for it and for the release's "
                    f"titles, got {free / 1e6:.0f} MB"
                )
            return sealed_copy(source, expected.sha256, expected.size)
    except (FileNotFoundError, IsADirectoryError):
        raise ReleaseError(f"{path}: listed in the manifest, but there is no such file") from None
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be copied to memory: {error.strerror}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a named pipe would wait for a writer
