"""Sorts many ratings quickly and in little memory: by users, and within some users at a time by movies or times."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

MAX_KEY = 1 << 62
MAX_INT32 = (1 << 31) - 1
BLOCK = 4_000_000  # ratings whose times are sorted at once


def by_user_and_movie(users: np.ndarray, movies: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    """Return CSR int[num_users, num_movies]: the position of each rating, by user and within a user by movie.

    users, movies: int[n], rows, each pair at most once.  shape: (num_users, num_movies).
    """
    positions = np.arange(len(users), dtype=np.int32 if len(users) <= MAX_INT32 else np.int64)
    matrix = sparse.coo_matrix((positions, (users, movies)), shape).tocsr()  # takes linear time
    matrix.sort_indices()
    return matrix


def user_blocks(indptr: np.ndarray) -> Iterator[slice]:
    """Yield slices of users who have about BLOCK ratings together.  indptr: where the ratings of each user begin."""
    start, num_users = 0, len(indptr) - 1
    while start < num_users:
        end = max(int(np.searchsorted(indptr, indptr[start] + BLOCK, side="right")) - 1, start + 1)
        yield slice(start, end)
        start = end


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


def narrow(values: np.ndarray) -> np.ndarray:
    """Return whole numbers as int32 if they fit, which halves the memory, else as they are."""
    fit = abs(int(values.min(initial=0))) <= MAX_INT32 and int(values.max(initial=0)) <= MAX_INT32
    return values.astype(np.int32, copy=False) if fit else values
