"""Reads many events at once into an array. Rows of SQLAlchemy would take several times as long."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import Connection

from events.event import COLUMNS

WHERE = "FROM events WHERE number > {after:d} AND number <= {until:d}"
SQLITE = f"SELECT number, user_id, movie_id, kind, rating, time_us {WHERE} ORDER BY number"

# A row of PostgreSQL's costs its client microseconds, however it is fetched. So the server puts 20,000 events into one
# value, in the big-endian form that its functions for sending numbers have.
POSTGRESQL = (
    "SELECT string_agg(int8send(number) || int8send(user_id) || int8send(movie_id) || int2send(kind) || "
    f"float8send(rating) || int8send(time_us), ''::bytea) {WHERE} GROUP BY number / 20000"
)
PACKED = np.dtype(
    [("number", ">i8"), ("user", ">i8"), ("movie", ">i8"), ("kind", ">i2"), ("rating", ">f8"), ("time_us", ">i8")]
)


def read_columns(connection: Connection, after: int, until: int) -> np.ndarray:
    """The events with numbers above `after` and up to `until`: `event.COLUMNS`, ascending by number."""
    pooled: Any = connection.connection
    if connection.dialect.name == "sqlite":
        return np.fromiter(pooled.execute(SQLITE.format(after=after, until=until)), COLUMNS)
    with pooled.cursor(binary=True) as cursor:
        cursor.execute(POSTGRESQL.format(after=after, until=until))
        content = b"".join(packed for (packed,) in cursor)
    events = np.frombuffer(content, PACKED).astype(COLUMNS)
    return events[np.argsort(events["number"])]
