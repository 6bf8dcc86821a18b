"""The tables of text keys in a bucket: pieces that are never written over, each named after its first byte's offset.

A local table holds the first bytes of the one in the bucket, at any moment, so it only ever grows at its end.
"""

from __future__ import annotations

from pathlib import Path

from object_storage.bucket import Bucket
from trainer.release.errors import KeyTableError

FOLDER = "keys"
DIGITS = 15  # so that the order of names is that of offsets


def pull(bucket: Bucket, table: str, path: Path) -> None:
    """Append to a local table what it lacks of the one in the bucket.

    Raises ObjectStorageError, and KeyTableError if there is a gap between two pieces.
    """
    end = 0
    with path.open("ab") as file:
        for name, size in bucket.objects(f"{FOLDER}/{table}").items():
            if not name.isdecimal() or int(name) != end:
                where = f"{bucket.url}/{FOLDER}/{table}"
                raise KeyTableError(f"{where}: expected a piece that begins at byte {end}, got {name[:40]!r}")
            end += size
            if end > file.tell():
                file.write(bucket.read(f"{FOLDER}/{table}/{name}", size - (end - file.tell()), size))


def push(bucket: Bucket, table: str, offset: int, lines: bytes) -> bool:
    """Append lines to the table in the bucket unless it is longer than `offset` bytes, and return whether they were.

    Raises ObjectStorageError.
    """
    return bucket.create(f"{FOLDER}/{table}/{offset:0{DIGITS}}", lines)
