"""The tables of text keys in a bucket: pieces that are never written over, each named after its first byte's offset.

A local table holds the first bytes of the one in the bucket, at any moment, so it only ever grows at its end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from object_storage.bucket import Bucket
from trainer.release.errors import KeyTableError

FOLDER = "keys"
DIGITS = 15  # so that the order of names is that of offsets
# A list that is made while pieces are written may hold a later one and not yet the one before it.
LISTINGS, PAUSE_S = 10, 0.2


def pull(bucket: Bucket, table: str, path: Path) -> None:
    """Append to a local table what it lacks of the one in the bucket.

    Raises ObjectStorageError, and KeyTableError if there is a gap between two pieces.
    """
    pieces, end = _pieces(bucket, table), 0
    with path.open("ab") as file:
        for name, size in pieces.items():
            end += size
            if end > file.tell():
                file.write(bucket.read(f"{FOLDER}/{table}/{name}", size - (end - file.tell()), size))


def _pieces(bucket: Bucket, table: str) -> Mapping[str, int]:
    """The size of each piece by its name, each beginning where the one before ends. Raises as `pull`."""
    for listing in range(1, LISTINGS + 1):
        pieces, end = bucket.objects(f"{FOLDER}/{table}"), 0
        for name, size in pieces.items():
            if not name.isdecimal() or int(name) != end:
                break
            end += size
        else:
            return pieces
        if listing < LISTINGS:
            time.sleep(PAUSE_S)
    where = f"{bucket.url}/{FOLDER}/{table}"
    raise KeyTableError(f"{where}: expected a piece that begins at byte {end}, got {name[:40]!r}")


def push(bucket: Bucket, table: str, offset: int, lines: bytes) -> bool:
    """Append lines to the table in the bucket unless it is longer than `offset` bytes, and return whether they were.

    Raises ObjectStorageError.
    """
    return bucket.create(f"{FOLDER}/{table}/{offset:0{DIGITS}}", lines)
