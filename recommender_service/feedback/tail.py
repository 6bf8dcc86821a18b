"""Follows the event store: holds in memory what is newer than the active release, and reads on five times a second."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from events.errors import EventStoreError
from events.event import NO_EVENTS, Event
from events.store import EventStore
from protos.release.v1 import manifest_pb2
from recommender_service.feedback.held_events import MIN_ADDED, HeldEvents, Row
from recommender_service.feedback.store_thread import StoreThread

log = logging.getLogger(__name__)

POLL_S = 0.2
STALE_S = 1.0  # the promise is that events of others count within a second
LOAD_TIMEOUT_S = 10.0  # then a release becomes active without the events, which is said in every answer
TRIM_PAUSE_S = 10.0  # calls that began with the release before are over by then


class _Read(NamedTuple):
    """What the store had up to a number."""

    last: int
    events: np.ndarray
    forgotten: list[tuple[int, int]]


class EventTail:
    """The events that a worker holds, and how far it has read."""

    def __init__(self, store: EventStore, max_held: int) -> None:
        self.held = HeldEvents(0, NO_EVENTS, {}, max_held)
        self.generation = 0  # changes whenever `held` is another object, or a user was forgotten
        self.position = 0  # the number of the newest event that was read
        self._store = store
        self._max_held = max_held
        self._thread = StoreThread("read-events")
        self._store_id = ""  # empty until the store was opened
        self._release: manifest_pb2.Manifest | None = None
        self._trim_at = 0.0
        self._is_loaded = False
        self._read_at = float("-inf")  # monotonic seconds
        self._error = ""  # of the last attempt to read
        self._lock = asyncio.Lock()  # held by whoever reads
        self._own: set[int] = set()  # numbers above `position` of events that this worker recorded and holds

    @property
    def is_open(self) -> bool:
        """Whether the store's tables are known to be those that this program writes to."""
        return bool(self._store_id)

    @property
    def lag_s(self) -> float:
        """Seconds since the store was last read to its end."""
        return time.monotonic() - self._read_at

    @property
    def problem(self) -> str:
        """Why recent events may be missing; empty if none are."""
        if self.lag_s > STALE_S:
            return f"recent events may be missing, because the event store cannot be read: {self._error or 'not yet'}"
        if self.held.num_left_out:
            return f"older events are missing: only the newest {self._max_held:,} are held in memory"
        return ""

    def release_last_event(self, manifest: manifest_pb2.Manifest) -> int:
        """The number of the last event that a release holds; 0 if it holds none of this store."""
        return manifest.events.last_event if manifest.events.store_id == self._store_id else 0

    async def prepare(self, manifest: manifest_pb2.Manifest) -> None:
        """Read what is newer than this release, unless it is held already. It is the oldest that is about to serve."""
        self._release = manifest
        self._trim_at = time.monotonic() + TRIM_PAUSE_S
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S), self._lock:
                await self._load_if_needed()
        except (EventStoreError, TimeoutError) as error:
            self._fail(error)

    async def run(self) -> None:
        """Read on, for ever."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                async with self._lock:
                    await self._look()
            except EventStoreError as error:
                self._fail(error)
            except Exception as error:
                if repr(error) != self._error:  # once, not every time
                    log.exception("bug", extra={"fields": {"task": "event tail"}})
                self._error = repr(error)

    def add_own(self, events: Sequence[Event], numbers: Sequence[int]) -> None:
        """Hold events that this worker has recorded, so that they count before they are read.  numbers: as appended."""
        fresh = [number > self.position for number in numbers]  # neither a duplicate nor read meanwhile
        self._own.update(number for number, is_fresh in zip(numbers, fresh, strict=True) if is_fresh)
        self.held.add(
            (number, event.user, event.movie, int(event.kind), event.rating, event.time_us)
            for number, event, is_fresh in zip(numbers, events, fresh, strict=True)
            if is_fresh
        )

    async def _look(self) -> None:
        if self._release is None:
            return
        await self._load_if_needed()
        read = await self._thread.run(lambda: self._read(self.position))
        if read.last < self.position or len(read.events) > MIN_ADDED:
            # The store was replaced by an older copy of itself; or so much is new that adding it would hold up calls.
            forgotten = self.held.forgotten if read.last >= self.position else {}
            self._is_loaded = False
            await self._load_if_needed()
            # Calls may name a release that is older than what was loaded.
            self.held.forgotten.update({**forgotten, **self.held.forgotten})
            return
        rows: list[Row] = [row for row in read.events.tolist() if row[0] not in self._own]
        self.held.add(rows)
        for number, user in read.forgotten:
            self.held.forget(user, number)
        self._advance(read.last)
        above = self.release_last_event(self._release)
        is_trimmed = self.held.above >= above or time.monotonic() < self._trim_at
        if self.held.is_due or read.forgotten or not is_trimmed:
            await self._merge(above if time.monotonic() >= self._trim_at else self.held.above)

    async def _load_if_needed(self) -> None:
        """Open the store and read all that is newer than the release, unless that is held."""
        assert self._release is not None
        if not self._store_id:
            self._store_id = await self._thread.run(self._store.prepare)
        above = self.release_last_event(self._release)
        if self._is_loaded and self.held.above <= above:
            return
        started = time.monotonic()
        read, held = await self._thread.run(lambda: self._load(above))
        held.add(self.held.added_above(read.last))
        self._replace(held)
        self._is_loaded = True
        self._advance(read.last)
        fields = {"events": len(held), "above": above, "seconds": round(time.monotonic() - started, 2)}
        log.info("events read", extra={"fields": fields})

    def _load(self, above: int) -> tuple[_Read, HeldEvents]:
        read = self._read(above)
        return read, HeldEvents(above, read.events, {user: number for number, user in read.forgotten}, self._max_held)

    def _read(self, after: int) -> _Read:
        last = self._store.last_number()
        if last <= after:
            return _Read(last, NO_EVENTS, [])
        return _Read(last, self._store.read(after, last), self._store.forgotten(after, last))

    async def _merge(self, above: int) -> None:
        """Put what was added in order with the rest, and drop what is not above that number."""
        old, num_added = self.held, self.held.num_added
        held = await asyncio.to_thread(old.merged, num_added, max(above, old.above))
        if self.held is old:
            held.add(old.added_after(num_added))
            self._replace(held)

    def _replace(self, held: HeldEvents) -> None:
        self.held = held
        self.generation += 1

    def _advance(self, last: int) -> None:
        """Note that the store was read up to this number."""
        self.position = last
        self._own = {number for number in self._own if number > last}
        if self._error:
            log.info("event store read", extra={"fields": {"last_event": last}})
        self._read_at, self._error = time.monotonic(), ""

    def _fail(self, error: Exception) -> None:
        problem = str(error) or f"it did not answer within {LOAD_TIMEOUT_S:g} s"
        if problem != self._error:
            log.error("event store not read", extra={"fields": {"reason": problem}})
        self._error = problem
