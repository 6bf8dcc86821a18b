"""Opens the database of an event store: SQLite for one host, PostgreSQL for several."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from events.errors import EventStoreError

BUSY_TIMEOUT_S = 4.0  # how long a process waits for another one's transaction
CONNECT_TIMEOUT_S = 3
STATEMENT_TIMEOUT_S = 30  # a million events are read in far less
WRITES = {"writes": True}
"""The options of a connection that is going to write."""


def open_engine(url: str) -> Engine:
    """The database of this URL. It is not connected to yet. Raises EventStoreError for a URL of another kind."""
    try:
        parsed = make_url(url)
    except Exception:  # its message may hold the password
        raise EventStoreError("expected a URL such as sqlite:////var/lib/events.db or postgresql://host/name") from None
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed)
    raise EventStoreError(f"expected a URL of sqlite or postgresql, got one of {parsed.get_backend_name()[:40]!r}")


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # else Python's module begins transactions when it sees fit
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")  # a commit is on disk; WAL's default, NORMAL, defers that

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then writes fails at once if another one has written meanwhile.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _use_wal(connection: Any) -> None:
    """Let readers not wait for writers. SQLite itself does not wait here for a transaction on a new database."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _postgresql(url: URL) -> Engine:
    options = f"-c synchronous_commit=on -c statement_timeout={1000 * STATEMENT_TIMEOUT_S}"
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,  # a connection may have died with the server
        connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "tcp_user_timeout": 5000, "options": options},
        hide_parameters=True,
    )
