"""A cache that drops the least recently used value."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LruCache(Generic[Key, Value]):
    """The `capacity` most recently used values by key; a capacity of 0 turns the cache off."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict[Key, Value] = OrderedDict()  # least recently used first

    def get(self, key: Key) -> Value | None:
        """Return the key's value and mark it as used, or return None if the cache does not hold it."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep the value, and drop the least recently used one if the cache is full."""
        self._values[key] = value
        if len(self._values) > self._capacity:
            self._values.popitem(last=False)
