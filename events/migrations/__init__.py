"""Alembic's migrations of the event store; migration.py runs them."""
