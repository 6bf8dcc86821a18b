"""Alembic runs this file to migrate; the connection comes from migration.py, in a transaction of its own."""

from __future__ import annotations

from alembic import context

from events.schema import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, transactional_ddl=True)
context.run_migrations()
