"""A split that somebody made: one file of ratings to fit on, another to score against."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from trainer.data.dataset import DEFAULT_READING, Reading, ratings_frame, refuse_first
from trainer.data.duplicates import is_last
from trainer.data.folder import movies_file, ratings_file
from trainer.data.ids import numbered
from trainer.data.movies import read_catalogue
from trainer.data.rows import read_rows
from trainer.data.times import judged

log = logging.getLogger(__name__)


def read_split(
    train: Path, test: Path, movies: Path | None, reading: Reading = DEFAULT_READING
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(train, test): the ratings of two files as in `Dataset.ratings`, with text ids in common.

    Left out are, within each file, all but a user's last rating of a movie, and ratings of movies that the file
    `movies`, where it is given, does not list.  Raises DataError, also for those if `reading` is strict.
    """
    rows = read_rows([ratings_file(path, reading.columns) for path in (train, test)], reading.scale)
    (user_ids,), _ = numbered([rows.users])
    catalogue = read_catalogue(movies_file(movies)) if movies is not None else None
    (movie_ids, *listed), _ = numbered([rows.movies, *([catalogue.ids] if catalogue is not None else [])])
    kept = np.isin(movie_ids, listed[0]) if listed else np.ones(len(movie_ids), bool)
    if movies is not None and reading.strict:
        refuse_first(rows.table, ~kept, "expected a movie that the list of movies holds")
    parts = slice(0, rows.table.num_rows[0]), slice(rows.table.num_rows[0], None)
    last = np.concatenate([is_last(user_ids[part], movie_ids[part], rows.seconds[part]) for part in parts])
    if reading.strict:
        refuse_first(rows.table, ~last, "expected one rating per user and movie, got another of the same later on")
    kept &= last
    if not kept.all():
        log.info(
            "%s: %s repeated ratings, and ratings of movies that are not listed, are left out",
            test.parent,
            (~kept).sum(),
        )
    timestamps, _ = judged(user_ids, rows.seconds, rows.known, rows.has_times)
    whole = ratings_frame(user_ids, movie_ids, rows.values.ratings, timestamps)
    return whole[parts[0]][kept[parts[0]]], whole[parts[1]][kept[parts[1]]]
