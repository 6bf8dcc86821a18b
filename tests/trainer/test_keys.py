"""Text keys and the ids that they keep for ever."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from trainer.release.bucket_keys import FOLDER
from trainer.release.errors import KeyTableError
from trainer.release.keys import USERS, ids_of_keys


def _keys(*keys: str) -> np.ndarray:
    return np.array(keys, dtype=object)


_meetings: list[Barrier] = []  # in a process that calls at the same moment as others: where it waits for them


def _call_with_others(meeting: Barrier) -> None:
    _meetings.append(meeting)


def _ids_at_once(folder: Path, keys: np.ndarray) -> np.ndarray:
    """Call `ids_of_keys` at the same moment as the other processes."""
    _meetings[0].wait()
    return ids_of_keys(folder, USERS, keys)


def test_keys_keep_their_ids_and_new_ones_follow(tmp_path: Path) -> None:
    """A later run gives known keys the ids they had, in whatever order they come, and new keys the next numbers."""
    assert ids_of_keys(tmp_path, USERS, _keys("ann", "bob")).tolist() == [0, 1]
    assert ids_of_keys(tmp_path, USERS, _keys("aaron", "bob", "zoë")).tolist() == [2, 1, 3]
    assert (tmp_path / FOLDER / USERS).read_text(encoding="utf-8") == "ann\nbob\naaron\nzoë\n"


def test_half_a_line_of_a_killed_trainer_is_cut_off(tmp_path: Path) -> None:
    """A key whose line has no end was never published, so its number goes to the next new key."""
    ids_of_keys(tmp_path, USERS, _keys("ann"))
    with (tmp_path / FOLDER / USERS).open("a", encoding="utf-8") as file:
        file.write("bo")
    assert ids_of_keys(tmp_path, USERS, _keys("cem", "ann")).tolist() == [1, 0]


@pytest.mark.slow
def test_two_trainers_at_once_never_share_a_number(tmp_path: Path) -> None:
    """Eight calls in four processes give many keys one id each, the same to everybody."""
    keys = [_keys(*(f"user-{number}" for number in range(start, start + 30_000))) for start in range(0, 80_000, 10_000)]
    spawning = get_context("spawn")  # a fork may take over locks of other tests' threads
    with ProcessPoolExecutor(4, spawning, initializer=_call_with_others, initargs=(spawning.Barrier(4),)) as pool:
        answers = list(pool.map(_ids_at_once, [tmp_path] * len(keys), keys))
    ids: dict[str, set[int]] = {}
    for asked, given in zip(keys, answers, strict=True):
        for key, number in zip(asked.tolist(), given.tolist(), strict=True):
            ids.setdefault(key, set()).add(number)
    assert len(ids) == 100_000
    assert sorted(number for numbers in ids.values() for number in numbers) == list(range(100_000))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ann\nbob\nann\n", "users.txt:1: expected each key once, got 'ann' again on line 3"),
        (b"a\nb\xff\n", "users.txt:2: expected UTF-8"),
    ],
)
def test_a_damaged_table_is_refused_by_line(tmp_path: Path, content: bytes, message: str) -> None:
    """Nothing is appended to a table that cannot be trusted."""
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / USERS).write_bytes(content)
    with pytest.raises(KeyTableError, match=message):
        ids_of_keys(tmp_path, USERS, _keys("new"))
    assert (tmp_path / FOLDER / USERS).read_bytes() == content
