"""The events of many users in memory, 49 bytes each, found by user without I/O."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from events.event import COLUMNS, NO_EVENTS, without_forgotten

Row = tuple[int, int, int, int, float, int]
"""An event as a tuple, in the order of `event.COLUMNS`."""

MIN_ADDED, ADDED_SHARE = 10_000, 16


class HeldEvents:
    """Events newer than a release, sorted by user; and those that were added since, which are few.

    above: it holds the events of the store with higher numbers than this, unless some are left out.
    """

    def __init__(self, above: int, events: np.ndarray, forgotten: dict[int, int], most: int) -> None:
        """events: `event.COLUMNS` in any order; of more than `most`, the newest are held.

        forgotten: the number under which a user was forgotten, by user, although no events are held that are as old.
            Older events of theirs are dropped.
        """
        events = without_forgotten(events, forgotten)
        self.num_left_out = max(0, len(events) - most)
        if self.num_left_out:
            events = events[np.argpartition(events["number"], self.num_left_out)[self.num_left_out :]]
        self.above = above
        self.forgotten = forgotten
        self._most = most
        self._sorted = events[np.argsort(events["user"], kind="stable")]
        self._users = np.ascontiguousarray(self._sorted["user"])  # int64[num_events]; a search needs them side by side
        self._added: list[Row] = []
        self._added_by_user: dict[int, list[Row]] = {}

    def __len__(self) -> int:
        return len(self._sorted) + len(self._added)

    def add(self, rows: Iterable[Row]) -> None:
        """Add events that it does not hold yet."""
        for row in rows:
            self._added.append(row)
            self._added_by_user.setdefault(row[1], []).append(row)

    def forget(self, user: int, number: int) -> None:
        """Hide the user's events up to this number. `merged` drops them."""
        self.forgotten[user] = number

    def num_of(self, user: int) -> int:
        """How many events of the user were added since this object was made; −1 if it holds none of theirs at all.

        As long as it does not change, neither does what `of` returns, unless the user is forgotten.
        """
        added = self._added_by_user.get(user)
        if added is not None:
            return len(added)
        at = self._users.searchsorted(user)
        return 0 if at < len(self._users) and self._users[at] == user else -1

    def of(self, user: int) -> np.ndarray:
        """The user's events, `event.COLUMNS`, in the order of their times; of equal times, in that of their numbers."""
        first, end = self._users.searchsorted(user), self._users.searchsorted(user, "right")
        events = self._sorted[first:end]
        added = self._added_by_user.get(user)
        if added is not None:
            events = np.concatenate([events, np.array(added, COLUMNS)])
        if user in self.forgotten:
            events = events[events["number"] > self.forgotten[user]]
        return events[np.lexsort((events["number"], events["time_us"]))]

    @property
    def num_added(self) -> int:
        """How many events were added since this object was made."""
        return len(self._added)

    @property
    def is_due(self) -> bool:
        """Whether so many events were added, as objects that take more memory, that it is time to merge them."""
        return len(self._added) > max(MIN_ADDED, len(self._sorted) // ADDED_SHARE)

    def merged(self, num_added: int, above: int) -> HeldEvents:
        """One that holds these events, of those that were added the first `num_added`, with numbers above `above`.

        It only reads what does not change, so another thread may run it while events are added.
        """
        added = self._added[:num_added]
        events = np.concatenate([self._sorted, np.array(added, COLUMNS) if added else NO_EVENTS])
        return HeldEvents(above, events[events["number"] > above], self.forgotten.copy(), self._most)

    def added_after(self, num_added: int) -> list[Row]:
        """The events that were added after the first `num_added`."""
        return self._added[num_added:]

    def added_above(self, number: int) -> list[Row]:
        """The events that were added and have higher numbers than this."""
        return [row for row in self._added if row[0] > number]
