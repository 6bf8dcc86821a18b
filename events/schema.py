"""The tables of the event store. migrations/ creates them; a change here needs a new migration."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, SmallInteger, String, Table

BIG_INTEGER = BigInteger().with_variant(Integer, "sqlite")  # SQLite stores a table in the order of an INTEGER key only

METADATA = MetaData()

STORE = Table(
    "event_store",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("store_id", String(36), nullable=False),
    Column("last_number", BIG_INTEGER, nullable=False),
)
"""One row. `last_number` is the number of the newest event or forgotten user.

Whoever adds events first raises it in the same transaction, and so holds the row until the commit. Therefore numbers
become visible in ascending order, which those of a sequence do not: a later one may be committed before an earlier one,
and a reader that has gone past it never sees that.
"""

EVENTS = Table(
    "events",
    METADATA,
    Column("number", BIG_INTEGER, primary_key=True, autoincrement=False),
    Column("user_id", BIG_INTEGER, nullable=False),
    Column("movie_id", BIG_INTEGER, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("rating", Double, nullable=False),
    Column("time_us", BIG_INTEGER, nullable=False),
    Column("event_id", String(64), nullable=False),
    Column("user_key", String(256)),
    Column("movie_key", String(256)),
    Index("events_by_user", "user_id", "event_id", unique=True),
)
"""The events. event.py says what the columns mean; the keys are NULL where ids are numbers."""

FORGOTTEN = Table(
    "forgotten_users",
    METADATA,
    Column("number", BIG_INTEGER, primary_key=True, autoincrement=False),
    Column("user_id", BIG_INTEGER, nullable=False),
    Column("forgotten_us", BIG_INTEGER, nullable=False),
)
"""Users who were forgotten. It holds no key, only the number that stands for it."""
