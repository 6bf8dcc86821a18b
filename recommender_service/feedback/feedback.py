"""What the RPCs need of the event store: histories of users without I/O, and events made durable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from events.event import Event, Kind, number_of_key
from events.store import DUPLICATE, EventStore
from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.errors import EventStoreUnavailable, InvalidArgument
from recommender_service.feedback.history import History, history_of
from recommender_service.feedback.metrics import EVENTS_RECORDED, EVENTS_REJECTED, HELD_EVENTS, STORE_LAG
from recommender_service.feedback.recorder import Recorder
from recommender_service.feedback.requests import checked_event
from recommender_service.feedback.tail import EventTail
from recommender_service.hidden_movies import NOTHING_HIDDEN, number_of_user
from recommender_service.release import Release
from recommender_service.settings import Settings
from recommender_service.user_embeddings.lru_cache import LruCache

CACHED_HISTORIES = 10_000  # a kilobyte or so each

Cached = tuple[tuple[int, int, int], History]


class Feedback:
    """The event store as one worker sees it."""

    def __init__(self, settings: Settings) -> None:
        """Raises EventStoreError if EVENTS_URL is not the URL of a store."""
        store = EventStore(settings.events_url)
        self._tail = EventTail(store, settings.max_held_events)
        max_calls = max(1, settings.max_concurrent_calls // 2)  # the others are for recommendations, come what may
        self._recorder = Recorder(store, max_calls, self._tail.add_own)
        self._histories: LruCache[int, Cached] = LruCache(CACHED_HISTORIES)
        self._movie_rows: dict[int, Mapping[int, int]] = {}  # by version of the release
        HELD_EVENTS.set_function(lambda: len(self._tail.held))
        STORE_LAG.set_function(lambda: self._tail.lag_s)

    async def prepare(self, release: Release, oldest: Release) -> None:
        """Read the events that the oldest release does not hold; called before a release serves.

        oldest: of those that serve then: the active one, while a canary is served.
        """
        kept = list(self._movie_rows.items())[-2:]  # the releases before, for calls that name them or are in progress
        rows: Mapping[int, int] = release.movie_rows
        if release.rows_by_key is not None:
            rows = await asyncio.to_thread(_rows_by_number, release.rows_by_key)
        self._movie_rows = {**dict(kept), release.version: rows}
        await self._tail.prepare(oldest.manifest)

    async def run(self) -> None:
        """Follow the store, for ever."""
        await self._tail.run()

    @property
    def problem(self) -> str:
        """Why recent events may be missing from an answer; empty if none are."""
        return self._tail.problem

    def history(self, release: Release, request: api.RecommendRequest, user: int) -> History | None:
        """The history of the request's user if events have changed it; else None.

        user: their position in the release, −1 if it does not know them.
        """
        number, held = number_of_user(release, request), self._tail.held
        if number is None:
            return None
        num_events = held.num_of(number)
        forgotten_at = held.forgotten.get(number)
        is_forgotten = forgotten_at is not None and forgotten_at > self._tail.release_last_event(release.manifest)
        if num_events < 0 and not is_forgotten:
            return None
        version = (release.version, self._tail.generation, num_events)
        cached = self._histories.get(number)
        if cached is not None and cached[0] == version:
            return cached[1]
        known, hidden = user, release.hidden
        if is_forgotten:
            known, hidden = -1, NOTHING_HIDDEN
        rows = self._movie_rows[release.version]
        history = history_of(release, known, hidden.rows_of(number), held.of(number), rows)
        self._histories.put(number, (version, history))
        return history

    def check(self, release: Release, event: api.Event) -> Event:
        """The event as the store keeps it. Raises InvalidArgument."""
        try:
            return checked_event(release, event, time.time_ns() // 1000)
        except InvalidArgument as error:
            EVENTS_REJECTED.labels(error.field).inc()
            raise

    async def record(self, events: Sequence[Event], time_remaining_s: float | None) -> int:
        """Make the events durable, and return how many of them were not before.

        time_remaining_s: the time until the caller's deadline; None if the caller set none.
        Raises EventStoreUnavailable, NotConfirmedInTime or TooManyCalls.
        """
        if not events:
            return 0
        if not self._tail.is_open:
            raise EventStoreUnavailable(self._tail.problem)
        numbers = await self._recorder.record(events, time_remaining_s)
        recorded = [event.kind for event, number in zip(events, numbers, strict=True) if number != DUPLICATE]
        for kind in Kind:
            EVENTS_RECORDED.labels(kind.name.lower()).inc(recorded.count(kind))
        return len(recorded)

    def status(self, release: Release | None) -> api.EventsStatus:
        """What GetServingStatus tells of the store.  release: the active one."""
        return api.EventsStatus(
            last_event=self._tail.position,
            release_last_event=self._tail.release_last_event(release.manifest) if release is not None else 0,
            held_events=len(self._tail.held),
            problem=self._tail.problem,
        )


def _rows_by_number(rows_by_key: Mapping[str, int]) -> dict[int, int]:
    """Row by the number that stands for a movie in the store."""
    return {number_of_key(key): row for key, row in rows_by_key.items()}
