"""Appends events, reads them in order, and forgets users. Every method does I/O, so none belongs on an event loop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from events.columns import read_columns
from events.engine import WRITES, open_engine
from events.errors import EventStoreError
from events.event import Event, Kind
from events.migration import import_alembic, is_current, migrate
from events.schema import EVENTS, FORGOTTEN, STORE

TAKE = update(STORE).values(last_number=STORE.c.last_number + bindparam("count")).returning(STORE.c.last_number)
DUPLICATE = 0
"""Stands in the place of the number of an event that was recorded before."""


class EventStore:
    """An event store by its URL. Several threads and processes may use a store at once.

    Each method raises EventStoreError if the database cannot do what is asked of it.
    """

    def __init__(self, url: str) -> None:
        """Connects to nothing yet. Raises EventStoreError if the URL is not one of SQLite or PostgreSQL."""
        self._engine = open_engine(url)
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        self._insert = dialect.insert(EVENTS).on_conflict_do_nothing()

    def close(self) -> None:
        self._engine.dispose()

    def prepare(self) -> str:
        """Migrate the tables if they are not up to date. Returns the identity of the store."""
        with self._transaction() as connection:
            needs_alembic = not is_current(connection)
        if needs_alembic:
            import_alembic()
        with self._transaction(**WRITES) as connection:
            migrate(connection)
            return str(connection.execute(select(STORE.c.store_id)).scalar_one())

    def append(self, events: Sequence[Event]) -> list[int]:
        """Make the events durable, and return the number of each, or DUPLICATE, in their order.

        An event is a duplicate if its user has one of the same event_id, also earlier in the same list.
        """
        with self._transaction(**WRITES) as connection:
            first = _take_numbers(connection, len(events))
            numbers = range(first, first + len(events))
            rows = [_row(number, event) for number, event in zip(numbers, events, strict=True)]
            result = connection.execute(self._insert, rows, execution_options={"preserve_rowcount": True})
            if result.rowcount == len(events):
                return list(numbers)
            recorded = set(connection.execute(select(EVENTS.c.number).where(EVENTS.c.number >= first)).scalars())
        return [number if number in recorded else DUPLICATE for number in numbers]

    def last_number(self) -> int:
        """The number of the newest event or forgotten user, 0 if there is none. All up to it can be read."""
        with self._transaction() as connection:
            return int(connection.execute(select(STORE.c.last_number)).scalar_one())

    def read(self, after: int, until: int) -> np.ndarray:
        """The events with numbers above `after` and up to `until`: `event.COLUMNS`, ascending by number."""
        with self._transaction() as connection:
            return read_columns(connection, after, until)

    def rows(self, after: int, until: int) -> list[tuple[int, Event]]:
        """The events with numbers above `after` and up to `until`, with their texts: (number, event), ascending."""
        number = EVENTS.c.number
        statement = select(EVENTS).where(number > after, number <= until).order_by(number)
        with self._transaction() as connection:
            return [(int(row.number), _event(row)) for row in connection.execute(statement)]

    def keys(self, after: int, until: int) -> tuple[dict[int, str], dict[int, str]]:
        """The keys of users and of movies by the number that stands for them, of the events with these numbers."""
        found = []
        with self._transaction() as connection:
            for number, key in ((EVENTS.c.user_id, EVENTS.c.user_key), (EVENTS.c.movie_id, EVENTS.c.movie_key)):
                some = select(number, key).where(EVENTS.c.number > after, EVENTS.c.number <= until, key.is_not(None))
                found.append({int(number): str(key) for number, key in connection.execute(some.distinct())})
        return found[0], found[1]

    def count(self, after: int) -> tuple[int, int]:
        """How many events have numbers above `after`, and how many users were forgotten since."""
        tables = ((EVENTS, EVENTS.c.number), (FORGOTTEN, FORGOTTEN.c.number))
        with self._transaction() as connection:
            counted = [connection.scalar(select(func.count()).select_from(t).where(n > after)) for t, n in tables]
        return int(counted[0] or 0), int(counted[1] or 0)

    def forgotten(self, after: int, until: int) -> list[tuple[int, int]]:
        """(number, user) of the users that were forgotten with these numbers, ascending."""
        number = FORGOTTEN.c.number
        statement = select(number, FORGOTTEN.c.user_id).where(number > after, number <= until).order_by(number)
        with self._transaction() as connection:
            return [(int(number), int(user)) for number, user in connection.execute(statement)]

    def forget(self, user: int) -> int:
        """Delete the user's events, note that they are forgotten, and return how many events there were."""
        with self._transaction(**WRITES) as connection:
            number = _take_numbers(connection, 1)
            deleted = connection.execute(delete(EVENTS).where(EVENTS.c.user_id == user)).rowcount
            note = {"number": number, "user_id": user, "forgotten_us": time.time_ns() // 1000}
            connection.execute(insert(FORGOTTEN), note)
            return int(deleted)

    @contextmanager
    def _transaction(self, **options: Any) -> Iterator[Connection]:
        """A connection in a transaction that is committed at the end of the block, or rolled back after an error."""
        try:
            with self._engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except SQLAlchemyError as error:
            raise EventStoreError(_sentence(error)) from None  # the cause holds the parameters


def _take_numbers(connection: Connection, count: int) -> int:
    """Reserve so many numbers until the transaction ends, and return the first of them."""
    return int(connection.execute(TAKE, {"count": count}).scalar_one()) - count + 1


def _row(number: int, event: Event) -> dict[str, object]:
    return {
        "number": number,
        "user_id": event.user,
        "movie_id": event.movie,
        "kind": int(event.kind),
        "rating": event.rating,
        "time_us": event.time_us,
        "event_id": event.event_id,
        "user_key": event.user_key or None,
        "movie_key": event.movie_key or None,
    }


def _event(row: Row[Any]) -> Event:
    return Event(
        row.event_id,
        int(row.user_id),
        row.user_key or "",
        int(row.movie_id),
        row.movie_key or "",
        Kind(row.kind),
        float(row.rating),
        int(row.time_us),
    )


def _sentence(error: SQLAlchemyError) -> str:
    """The first line of what the database says; the others may hold values."""
    original = getattr(error, "orig", None)
    lines = str(original if original is not None else error).splitlines()
    return lines[0].strip() if lines else type(error).__name__
