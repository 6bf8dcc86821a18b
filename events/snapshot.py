"""What a store holds, all of it or up to a number, for trainers, exports and reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from events.event import NO_EVENTS, without_forgotten
from events.store import EventStore

NUMBERS_AT_ONCE = 500_000  # so that one statement takes seconds at most


class Snapshot(NamedTuple):
    """Events in the order of their numbers.

    events: `event.COLUMNS`, those up to the number `last_event`.
    forgotten: int64[n], unique: the users of whom nothing older than their events may be used.
    user_keys, movie_keys: the key by the number that stands for it.
    """

    store_id: str
    last_event: int
    events: np.ndarray
    forgotten: np.ndarray
    user_keys: dict[int, str]
    movie_keys: dict[int, str]


def read_snapshot(store: EventStore, until_event: int | None = None) -> Snapshot:
    """Read the whole store, or what it held up to the number `until_event`. Raises EventStoreError.

    A user who is forgotten meanwhile is among the forgotten ones, and has no event that is older than that.
    """
    store_id = store.prepare()
    last_event = store.last_number() if until_event is None else until_event
    parts, user_keys, movie_keys = [NO_EVENTS], dict[int, str](), dict[int, str]()
    for after, until in number_ranges(last_event, NUMBERS_AT_ONCE):
        parts.append(store.read(after, until))
        of_users, of_movies = store.keys(after, until)
        user_keys.update(of_users)
        movie_keys.update(of_movies)
    newest = store.last_number() if until_event is None else until_event
    forgotten = {user: number for number, user in store.forgotten(0, newest)}
    events = without_forgotten(np.concatenate(parts), forgotten)
    return Snapshot(store_id, last_event, events, np.array(sorted(forgotten), np.int64), user_keys, movie_keys)


def number_ranges(last: int, size: int) -> Iterator[tuple[int, int]]:
    """Pairs (after, until) that cover the numbers from 1 to `last`."""
    for after in range(0, last, size):
        yield after, min(after + size, last)
