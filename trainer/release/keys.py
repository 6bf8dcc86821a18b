"""The ids of text keys: an append-only table beside the releases, so that a key keeps its id for ever.

Users and movies whose ids are text (ISBNs, UUIDs, product codes) get an int64 id each, which the model server and the
arrays of a release work with. `artifacts/keys/users.txt` and `movies.txt` hold one key a line in UTF-8; the id of a key
is the number of its line, from 0. Lines are only ever appended: neither a rollback nor a prune gives an id away.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

FOLDER = "keys"
USERS, MOVIES = "users.txt", "movies.txt"


class KeyTableError(ValueError):
    """A key table cannot be read or written; the message names the file and the line."""


def ids_of_keys(artifacts: Path, table: str, keys: np.ndarray) -> np.ndarray:
    """int64[len(keys)]: the id of each key; keys that the table lacks are appended to it and flushed to disk.

    table: USERS or MOVIES.  keys: str[n], different from one another, without control characters.
    Two trainers may call this at once; a trainer that is killed leaves whole lines behind.
    Raises KeyTableError if the table holds a key twice or is not UTF-8.
    """
    path = artifacts / FOLDER / table
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with _alone(path):
        ids = _read(path)
        new = [key for key in keys.tolist() if key not in ids]
        if new:
            _append(path, new)
            ids.update(zip(new, range(len(ids), len(ids) + len(new)), strict=True))
    return np.array([ids[key] for key in keys.tolist()], np.int64)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits until no other trainer reads or appends. A trainer that dies holds no lock."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> dict[str, int]:
    """Key → id.  The rest of a line that a killed trainer left without its end is cut off: no release knows its key."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    try:
        keys = whole.decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError as error:
        line = whole.count(b"\n", 0, error.start) + 1
        raise KeyTableError(f"{path}:{line}: expected UTF-8, got byte 0x{whole[error.start]:02x}") from None
    ids = {key: number for number, key in enumerate(keys)}
    if len(ids) < len(keys):
        number, key = next((number, key) for number, key in enumerate(keys) if ids[key] != number)
        raise KeyTableError(
            f"{path}:{number + 1}: expected each key once, got {key[:40]!r} again on line {ids[key] + 1}"
        )
    return ids


def _append(path: Path, keys: list[str]) -> None:
    with path.open("ab") as file:
        file.write("".join(f"{key}\n" for key in keys).encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
