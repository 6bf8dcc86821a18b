"""The rows of files of ratings, checked one by one but with nothing left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from trainer.data.data_file import DataFile
from trainer.data.ids import Ids, ids_of
from trainer.data.ratings import RatingScale, RatingValues, rating_values
from trainer.data.records import DataError
from trainer.data.shards import expect_some, holds_for
from trainer.data.tables import Table, read_table
from trainer.data.times import seconds_of
from trainer.workers.workers import ALONE, Workers

ROLES = ("user", "movie", "rating", "count", "timestamp")


@dataclass(frozen=True)
class Rows:
    """table: where the rows stand; its columns are given up.  seconds, known: as `seconds_of` gives them.

    has_times: whether there is a column of times.
    """

    table: Table
    users: Ids
    movies: Ids
    values: RatingValues
    seconds: np.ndarray
    known: np.ndarray
    has_times: bool


def read_rows(files: Sequence[DataFile], scale: RatingScale, workers: Workers = ALONE) -> Rows:
    """Raises DataError for a row that cannot be used, and if there is none, on any worker.

    workers: each holds the rows of its users; their ids' texts are those of all.
    """
    table = read_table(files, ROLES, holds_for(workers))
    if workers.count > 1:
        expect_some(workers, len(table), "ratings")
    if not len(table):
        raise DataError(f"{files[0].path}: expected at least one rating; the file holds none")
    users, movies, values = ids_of(table, "user"), ids_of(table, "movie"), rating_values(table, scale)
    seconds, known = seconds_of(table)
    has_times = "timestamp" in table.columns
    table = replace(table, columns={})
    pa.default_memory_pool().release_unused()
    return Rows(table, users, movies, values, seconds, known, has_times)
