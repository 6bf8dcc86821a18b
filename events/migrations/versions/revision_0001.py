"""The first tables."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    store = op.create_table(
        "event_store",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("store_id", sa.String(36), nullable=False),
        sa.Column("last_number", BIG_INTEGER, nullable=False),
    )
    op.bulk_insert(store, [{"id": 1, "store_id": str(uuid.uuid4()), "last_number": 0}])
    op.create_table(
        "events",
        sa.Column("number", BIG_INTEGER, primary_key=True, autoincrement=False),
        sa.Column("user_id", BIG_INTEGER, nullable=False),
        sa.Column("movie_id", BIG_INTEGER, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("rating", sa.Double, nullable=False),
        sa.Column("time_us", BIG_INTEGER, nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("user_key", sa.String(256)),
        sa.Column("movie_key", sa.String(256)),
    )
    op.create_index("events_by_user", "events", ["user_id", "event_id"], unique=True)
    op.create_table(
        "forgotten_users",
        sa.Column("number", BIG_INTEGER, primary_key=True, autoincrement=False),
        sa.Column("user_id", BIG_INTEGER, nullable=False),
        sa.Column("forgotten_us", BIG_INTEGER, nullable=False),
    )
