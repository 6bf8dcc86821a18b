"""A group commit: events that arrive while others are being written are written together in the next transaction."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from events.errors import EventStoreError
from events.event import Event
from events.store import EventStore
from recommender_service.errors import EventStoreUnavailable, NotConfirmedInTime, TooManyCalls
from recommender_service.feedback.store_thread import StoreThread
from recommender_service.futures import fail, succeed

MAX_COMMIT = 2_000  # events; one transaction must not hold up others for long
MAX_WAITING = 20_000  # events, some ten megabytes
TIMEOUT_S = 5.0  # a database that hangs does not say so
STALL_S = 1.0  # a transaction that takes longer hangs, so no more calls should wait

OnRecorded = Callable[[Sequence[Event], Sequence[int]], None]
Call = tuple[Sequence[Event], asyncio.Future[list[int]]]


class Recorder:
    """Writes events to the store, one transaction at a time."""

    def __init__(self, store: EventStore, max_calls: int, on_recorded: OnRecorded) -> None:
        """max_calls: how many calls may wait here.

        on_recorded: is told of events that became durable, and their numbers, before the calls are answered.
        """
        self._store = store
        self._max_calls = max_calls
        self._on_recorded = on_recorded
        self._thread = StoreThread("record-events")
        self._waiting: deque[Call] = deque()
        self._num_waiting = 0  # events
        self._num_calls = 0  # that wait, or whose events are being written
        self._task: asyncio.Task[None] | None = None  # writes; None while nothing waits
        self._writes_since = float("inf")  # monotonic seconds, when the transaction in progress began

    async def record(self, events: Sequence[Event], time_remaining_s: float | None) -> list[int]:
        """Return the number of each event once they are durable, or `store.DUPLICATE` for those that were before.

        time_remaining_s: the time until the caller's deadline; None if the caller set none.
        Raises EventStoreUnavailable, NotConfirmedInTime or TooManyCalls.
        """
        if time.monotonic() - self._writes_since > STALL_S:
            raise EventStoreUnavailable("the event store does not answer")
        if self._num_calls >= self._max_calls or self._num_waiting + len(events) > MAX_WAITING:
            message = f"{self._num_calls:,} calls wait for the event store; retry later"
            raise TooManyCalls(message, "TOO_MANY_WAIT_FOR_EVENT_STORE")
        self._num_calls += 1
        try:
            return await self._recorded(events, time_remaining_s)
        finally:
            self._num_calls -= 1

    async def _recorded(self, events: Sequence[Event], time_remaining_s: float | None) -> list[int]:
        future: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((events, future))
        self._num_waiting += len(events)
        if self._task is None:
            self._task = asyncio.create_task(self._write_all())
        timeout_s = TIMEOUT_S if time_remaining_s is None else min(TIMEOUT_S, time_remaining_s)
        await asyncio.wait((future,), timeout=timeout_s)  # leaves the future uncancelled when the time is up
        if future.done():
            return future.result()
        if timeout_s < TIMEOUT_S:
            raise NotConfirmedInTime("the deadline passed before the events were durable; they may be recorded yet")
        raise EventStoreUnavailable(f"the event store did not answer within {TIMEOUT_S:g} s")

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await self._write(self._next())
        finally:
            self._task = None

    def _next(self) -> list[Call]:
        """Take calls off the queue, as many as one transaction may hold."""
        calls: list[Call] = []
        count = 0
        while self._waiting and (not calls or count + len(self._waiting[0][0]) <= MAX_COMMIT):
            calls.append(self._waiting.popleft())
            count += len(calls[-1][0])
        self._num_waiting -= count
        return calls

    async def _write(self, calls: Sequence[Call]) -> None:
        events = [event for its_events, _ in calls for event in its_events]
        self._writes_since = time.monotonic()
        try:
            numbers = await self._thread.run(lambda: self._store.append(events))
        except Exception as error:
            failure: Exception = error
            if isinstance(error, EventStoreError):
                failure = EventStoreUnavailable(f"the event store cannot be written to: {error}")
            fail([future for _, future in calls], failure)
            return
        finally:
            self._writes_since = float("inf")
        self._on_recorded(events, numbers)
        first = 0
        for its_events, future in calls:
            succeed(future, numbers[first : first + len(its_events)])
            first += len(its_events)
