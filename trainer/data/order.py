"""Sorting many ratings quickly: by one whole number that holds both keys."""

from __future__ import annotations

import numpy as np

MAX_KEY = 1 << 62


def grouped_order(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return int64[n]: the order by (group, value); what is equal in both stays in its order.

    groups, values: int[n].
    """
    if not len(groups):
        return np.empty(0, np.int64)
    first, low = int(groups.min()), int(values.min())
    span = int(values.max()) - low + 1
    if (int(groups.max()) - first + 1) * span > MAX_KEY:
        return np.lexsort((values, groups))
    key = groups.astype(np.int64)
    key -= first
    key *= span
    key += values
    key -= low
    order: np.ndarray = np.argsort(key, kind="stable")
    return order


def starts_of(groups: np.ndarray) -> np.ndarray:
    """Return int64: where each run of equal values begins.  groups: [n]."""
    starts: np.ndarray = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]][: len(groups)])
    return starts
