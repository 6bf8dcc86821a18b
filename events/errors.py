"""The error of this package."""

from __future__ import annotations


class EventStoreError(Exception):
    """The store cannot be opened, read or written. The message holds no key, no parameter and no password."""
