"""The ids of text keys: an append-only table beside the releases, so that a key keeps its id for ever.

Users and movies whose ids are text (ISBNs, UUIDs, product codes) get an int64 id each, which the model server and the
arrays of a release work with. `artifacts/keys/users.txt` and `movies.txt` hold one key a line in UTF-8; the id of a key
is the number of its line, from 0. Lines are only ever appended: neither a rollback nor a prune gives an id away.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from object_storage.bucket import Bucket
from trainer.data.dataset import Dataset
from trainer.release.bucket_keys import FOLDER, pull, push
from trainer.release.errors import KeyTableError
from trainer.workers.workers import ALONE, Workers

USERS, MOVIES = "users.txt", "movies.txt"
LOCK_TIMEOUT_S = 60.0  # a million keys take up to 20 s on a busy machine


@dataclass(frozen=True)
class Keys:
    """Text keys and their ids.  keys: object[n] of str, ascending.  ids: int64[n], of each key."""

    keys: np.ndarray
    ids: np.ndarray

    def of(self, ids: np.ndarray) -> np.ndarray:
        """object[len(ids)] of str: the key of each id.  ids: int64, all of them known."""
        order = np.argsort(self.ids)
        keys: np.ndarray = self.keys[order[np.searchsorted(self.ids, ids, sorter=order)]]
        return keys


def with_lasting_ids(
    dataset: Dataset, artifacts: Path, bucket: Bucket | None = None, workers: Workers = ALONE
) -> tuple[Dataset, Keys | None, Keys | None]:
    """Return the data set with the ids that its keys have in every release, and the keys of users and of movies.

    The keys are None where ids are numbers: these stay as they are.
    bucket: has the tables too, if there is one, for trainers elsewhere.
    workers: only the chief has the tables, and tells the others the ids.
    """
    ratings, movies = dataset.ratings, dataset.movies
    users = _keys(artifacts, USERS, dataset.user_keys, bucket, workers)
    of_movies = _keys(artifacts, MOVIES, dataset.movie_keys, bucket, workers)
    if users is not None:
        ratings = ratings.assign(user_id=users.ids[ratings["user_id"].to_numpy()])
    if of_movies is not None:
        ratings = ratings.assign(movie_id=of_movies.ids[ratings["movie_id"].to_numpy()])
        movies = movies.assign(movie_id=of_movies.ids[movies["movie_id"].to_numpy()])
    events = dataset.events
    if of_movies is not None and events is not None:
        events = replace(events, hidden_movies=of_movies.ids[events.hidden_movies])
    return replace(dataset, ratings=ratings, movies=movies, events=events), users, of_movies


def _keys(artifacts: Path, table: str, keys: np.ndarray | None, bucket: Bucket | None, workers: Workers) -> Keys | None:
    if keys is None:
        return None
    ids = workers.on_chief(lambda: ids_of_keys(artifacts, table, keys, bucket))
    return Keys(keys, workers.from_chief(np.empty(0, np.int64) if ids is None else ids))


def ids_of_keys(artifacts: Path, table: str, keys: np.ndarray, bucket: Bucket | None = None) -> np.ndarray:
    """int64[len(keys)]: the id of each key; keys that the table lacks are appended to it and flushed to disk.

    table: USERS or MOVIES.  keys: str[n], different from one another, without control characters.
    Two trainers may call this at once. If a trainer is killed, the next call cuts off a line that it left unfinished.
    Raises KeyTableError if the table holds a key twice or is not UTF-8.

    bucket: if there is one, new keys are appended to its table first. Raises ObjectStorageError if they cannot be.
    """
    path = artifacts / FOLDER / table
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with _alone(path):
        while True:
            if bucket is not None:
                pull(bucket, table, path)
            ids = _read(path)
            new = [key for key in keys.tolist() if key not in ids]
            lines = "".join(f"{key}\n" for key in new).encode("utf-8")
            if not new or bucket is None or push(bucket, table, path.stat().st_size, lines):
                break  # otherwise another trainer has appended to the bucket's table meanwhile
        if new:
            _append(path, lines)
            ids.update(zip(new, range(len(ids), len(ids) + len(new)), strict=True))
    return np.array([ids[key] for key in keys.tolist()], np.int64)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other trainer reads or appends. A trainer that dies holds no lock.

    Where the file system has no locks, a second file stands for the lock. It outlives a trainer that dies.
    """
    with path.open("r+b") as file:  # NFS grants no exclusive lock to who may only read
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            with _sole_creator(path.with_name(f"{path.name}.lock")):
                yield
        else:
            yield


@contextmanager
def _sole_creator(path: Path) -> Iterator[None]:
    """Create a file that must not exist, wait for that if it does, and remove it at the end. Raises KeyTableError."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            path.touch(exist_ok=False)
            break
        except FileExistsError:
            if time.monotonic() > deadline:
                message = f"{path}: expected that another trainer removes it within {LOCK_TIMEOUT_S:g} s, got it still"
                raise KeyTableError(f"{message}; remove it if no trainer runs") from None
            time.sleep(0.05)
    try:
        yield
    finally:
        path.unlink()


def _read(path: Path) -> dict[str, int]:
    """Return key → id. A last line without its end is cut off: a killed trainer left it, and no release has its key."""
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


def _append(path: Path, lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
