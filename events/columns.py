"""Reads many events at once into an array. Rows of SQLAlchemy would take several times as long."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import Connection

from events.event import COLUMNS

QUERY = (
    "SELECT number, user_id, movie_id, kind, rating, time_us FROM events "
    "WHERE number > {after:d} AND number <= {until:d} ORDER BY number"
)

# PostgreSQL's binary format: a header, then for each row a count of fields, and before each field its length. No field
# is NULL, so all rows have the same size. The numbers are big-endian. A count of −1 ends the rows.
HEADER_BYTES = 19
TRAILER_BYTES = 2
FIELDS = [("number", ">i8"), ("user", ">i8"), ("movie", ">i8"), ("kind", ">i2"), ("rating", ">f8"), ("time_us", ">i8")]
BINARY_ROW = np.dtype([("count", ">i2"), *((name, [("length", ">i4"), ("value", dtype)]) for name, dtype in FIELDS)])


def read_columns(connection: Connection, after: int, until: int) -> np.ndarray:
    """The events with numbers above `after` and up to `until`: `event.COLUMNS`, ascending by number."""
    query = QUERY.format(after=after, until=until)
    cursor: Any = connection.connection.cursor()
    try:
        if connection.dialect.name == "postgresql":
            with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as copy:
                return _from_binary(b"".join(copy))
        cursor.execute(query)
        return np.fromiter(cursor, COLUMNS)
    finally:
        cursor.close()


def _from_binary(content: bytes) -> np.ndarray:
    count = (len(content) - HEADER_BYTES - TRAILER_BYTES) // BINARY_ROW.itemsize
    rows = np.frombuffer(content, BINARY_ROW, count, HEADER_BYTES)
    events = np.empty(count, COLUMNS)
    for name, _ in FIELDS:
        events[name] = rows[name]["value"]
    return events
