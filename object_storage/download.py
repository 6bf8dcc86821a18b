"""Brings one file of a release from a bucket, goes on where an earlier try was interrupted, and verifies it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from object_storage.bucket import Bucket, ObjectStorageError
from protos.release.v1 import manifest_pb2 as pb

CHUNK_BYTES = 8 << 20  # is asked for at once, and is what an interruption costs
PARTIAL = ".partial"  # ends the name of a file that is not complete yet


class DamagedRelease(ObjectStorageError):
    """A release in the bucket is not what its manifest says. Others can be synchronised nevertheless."""


def download(bucket: Bucket, path: str, target: Path, expected: pb.File) -> None:
    """Write the object to `target`.

    Raises DamagedRelease if it is not what is expected, ObjectStorageError if the store cannot be asked, and OSError if
    the file cannot be written. After the last two, the next call goes on where this one ended.
    """
    size = bucket.size(path)
    if size != expected.size:
        got = "no such object" if size is None else f"{size} bytes"
        raise DamagedRelease(f"{bucket.url}/{path}: expected {expected.size} bytes, got {got}")
    partial = target.with_name(target.name + PARTIAL)
    partial.parent.mkdir(parents=True, exist_ok=True)
    resumed = partial.exists()
    digest = _completed(bucket, path, partial, expected.size)
    if digest != expected.sha256 and resumed:  # what was there may be damaged, and not the object
        partial.unlink()
        digest = _completed(bucket, path, partial, expected.size)
    if digest != expected.sha256:
        partial.unlink()
        raise DamagedRelease(f"{bucket.url}/{path}: expected sha256 {expected.sha256}, got {digest}")
    partial.rename(target)


def holds(path: Path, expected: pb.File) -> bool:
    """Whether a file is there and is what is expected."""
    try:
        return path.stat().st_size == expected.size and digest_of(path) == expected.sha256
    except OSError:
        return False


def digest_of(path: Path) -> str:
    """The sha256 of a file in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _completed(bucket: Bucket, path: str, partial: Path, size: int) -> str:
    """Append to a file what it lacks of the object, flush it to disk, and return its sha256."""
    with partial.open("ab") as file:
        while file.tell() < size:
            chunk = bucket.read(path, file.tell(), min(file.tell() + CHUNK_BYTES, size))
            if not chunk:
                raise DamagedRelease(f"{bucket.url}/{path}: expected {size} bytes, got {file.tell()}")
            file.write(chunk)
            file.flush()
        os.fsync(file.fileno())
    return digest_of(partial)
