"""What a training run asks of its workers. A run of one process asks the same of `ALONE`, which changes nothing.

Every worker must ask the same in the same order, because each answer needs all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np

T = TypeVar("T")


class Workers(Protocol):
    """The processes that train together. Each has its own users; movies are the same for all.

    rank: of this process; that of the chief, who decides and publishes, is 0.  count: how many there are.
    """

    rank: int
    count: int

    @property
    def is_chief(self) -> bool:
        """Whether this process decides and publishes."""

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of all workers' arrays, which have the same shape: float32, float64 or int64."""

    def sum_tensor(self, tensor: Any) -> Any:
        """Return the sum of all workers' tensors float32[n, d]; also within a tf.function."""

    def gather(self, values: np.ndarray) -> list[np.ndarray]:
        """Return every worker's array, by rank. The arrays differ in their first dimension only."""

    def to_chief(self, values: np.ndarray) -> np.ndarray:
        """Return all workers' arrays one after the other on the chief; an array without rows elsewhere."""

    def from_chief(self, values: np.ndarray) -> np.ndarray:
        """Return the chief's array. The others pass an array that may differ in its first dimension only."""

    def on_chief(self, work: Callable[[], T]) -> T | None:
        """Return what the work returns on the chief, and None elsewhere, once the chief has done it.

        If it raises an error, that is raised on the chief, and ChiefFailed with the same message elsewhere.
        """

    def own(self, rng: np.random.Generator) -> np.random.Generator:
        """Return a generator for draws that concern this worker's users only."""

    def expect_alike(self, facts: Mapping[str, str]) -> None:
        """Raise ClusterError, on all workers, if the facts of one of them are not those of the chief."""


class Alone:
    """One process that trains by itself."""

    rank, count, is_chief = 0, 1, True

    def sum(self, values: np.ndarray) -> np.ndarray:
        return values

    def sum_tensor(self, tensor: Any) -> Any:
        return tensor

    def gather(self, values: np.ndarray) -> list[np.ndarray]:
        return [values]

    def to_chief(self, values: np.ndarray) -> np.ndarray:
        return values

    def from_chief(self, values: np.ndarray) -> np.ndarray:
        return values

    def on_chief(self, work: Callable[[], T]) -> T | None:
        return work()

    def own(self, rng: np.random.Generator) -> np.random.Generator:
        return rng

    def expect_alike(self, facts: Mapping[str, str]) -> None:
        """A single worker is like itself."""


ALONE = Alone()


def total(workers: Workers, number: int) -> int:
    """Return the sum of all workers' numbers."""
    return int(workers.sum(np.array([number], np.int64))[0])


def union(workers: Workers, ids: np.ndarray) -> np.ndarray:
    """Return int64, ascending: the ids that any worker has.  ids: int64, ascending and unique."""
    return ids if workers.count == 1 else np.unique(np.concatenate(workers.gather(ids.astype(np.int64))))


def anywhere(workers: Workers, flags: np.ndarray) -> np.ndarray:
    """Return bool, of the same shape: whether a flag is set on any worker."""
    return flags if workers.count == 1 else workers.sum(flags.astype(np.float32)) > 0
