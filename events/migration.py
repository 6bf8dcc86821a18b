"""Brings the tables of a store up to date. Processes that start together take turns."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from events.errors import EventStoreError

HEAD = "0001"  # the newest revision in migrations/versions
SCRIPTS = Path(__file__).with_name("migrations")
LOCK = 7_239_146_051  # any number that nobody else locks in the same database


def is_current(connection: Connection) -> bool:
    """Whether the store's tables are those of the newest revision."""
    return _revision(connection) == HEAD


def import_alembic() -> None:
    """Import what `migrate` needs if the store is not current.

    That takes longer than all other imports of this package, up to seconds on a busy machine. So it comes neither at
    the start of every process nor in a transaction, which others would wait for.
    """
    for module in ("alembic.command", "alembic.config"):
        import_module(module)


def migrate(connection: Connection) -> None:
    """Run the migrations that the store lacks. Raises EventStoreError if it is newer than this program.

    connection: in a transaction that writes, which keeps other processes out where the database is SQLite.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    revision = _revision(connection)
    if revision == HEAD:
        return
    if revision is not None and revision > HEAD:
        raise EventStoreError(f"expected tables of revision {HEAD} or older, got {revision}: upgrade this program")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def _revision(connection: Connection) -> str | None:
    """The revision of the store's tables; None if there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
