"""Which rows of the ratings a worker holds: those of its users, who are told apart by a hash of their ids."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.records import DataError
from trainer.data.tables import Holds
from trainer.workers.workers import Workers

SAME_NUMBER = r"^\+|\.0*$"  # "+7", "7" and "7.0" are one id where ids are whole numbers


def holds_for(workers: Workers) -> Holds | None:
    """Return what tells whether this worker holds the rows of a user; None if there is one worker only."""
    if workers.count == 1:
        return None

    def holds(texts: pa.StringArray) -> np.ndarray:
        spelled = pc.replace_substring_regex(pc.utf8_trim_whitespace(texts), SAME_NUMBER, "")
        hashes = pd.util.hash_array(np.array(spelled.to_pylist(), object), categorize=False)
        mine: np.ndarray = hashes % np.uint64(workers.count) == workers.rank
        return mine

    return holds


def expect_some(workers: Workers, count: int, what: str) -> None:
    """Raise DataError, on all workers, if one of them holds none.  count: how many this worker holds."""
    counts = np.concatenate(workers.gather(np.array([count], np.int64)))
    if not counts.all():
        rank = int(np.argmin(counts))
        raise DataError(f"expected {what} for each of {workers.count} workers, got none for rank {rank}: start fewer")
