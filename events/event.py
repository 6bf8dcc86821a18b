"""An event as the store keeps it, and the numbers that stand for users and movies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

import numpy as np

MAX_EVENT_ID_BYTES = 64


class Kind(IntEnum):
    """What a user did. The numbers are those of EventKind in recommender.v1."""

    WATCHED = 1
    RATED = 2
    HIDDEN = 3
    REMOVED = 4


class Event(NamedTuple):
    """What one user did with one movie.

    user, movie: their ids, or `number_of_key` of their keys.  user_key, movie_key: empty where ids are numbers.
    rating: 0 unless the kind is RATED.  time_us: microseconds since 1970.
    event_id: unique among the user's events.
    """

    event_id: str
    user: int
    user_key: str
    movie: int
    movie_key: str
    kind: Kind
    rating: float
    time_us: int


COLUMNS = np.dtype(
    [("number", "i8"), ("user", "i8"), ("movie", "i8"), ("kind", "i1"), ("rating", "f8"), ("time_us", "i8")]
)
"""Events without their texts, one in each element of an array; `number` is the place in the store's order."""

NO_EVENTS = np.empty(0, COLUMNS)


def without_forgotten(events: np.ndarray, forgotten: Mapping[int, int]) -> np.ndarray:
    """The events that are newer than the moment at which their user was forgotten.

    events: COLUMNS.  forgotten: the number under which a user was forgotten, by user.
    """
    if not forgotten:
        return events
    users = np.array(sorted(forgotten), np.int64)
    numbers = np.array([forgotten[user] for user in users.tolist()], np.int64)
    at = np.minimum(users.searchsorted(events["user"]), len(users) - 1)
    kept: np.ndarray = events[(users[at] != events["user"]) | (events["number"] > numbers[at])]
    return kept


def last_of_each_kind(events: np.ndarray, groups: np.ndarray, num_groups: int) -> np.ndarray:
    """int64[kind, num_groups]: the place of the last event of each kind in each group, −1 if there is none.

    An event counts if its place is above that of the group's last removal.
    events: COLUMNS, in the order of their times.  groups: int[n], from 0, the group of each event.
    """
    last = np.full((max(Kind) + 1, num_groups), -1)
    last[events["kind"], groups] = np.arange(len(events))  # of several, the last one is assigned
    return last


def number_of_key(key: str) -> int:
    """A negative int64 that stands for a key: 63 bits of its BLAKE2b hash.

    Ids are 0 or more, so they never meet. Two of a million keys have the same number with a chance of 1 to 20 million.
    """
    digest = hashlib.blake2b(key.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest) % 2**63 - 2**63
