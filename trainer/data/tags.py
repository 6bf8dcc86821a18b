"""Tags that users gave to movies, where a table called tags holds them, as in MovieLens."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from trainer.data.column_names import plain
from trainer.data.data_file import DataFile, settled
from trainer.data.movies import named_by_id
from trainer.data.records import DataError
from trainer.data.tables import read_table

TAG_NAMES = ("tag", "tags", "tagname")

log = logging.getLogger(__name__)


def as_tags(file: DataFile) -> DataFile | None:
    """The file with its columns of movies and tags used; None if it has no column of tags."""
    column = next((column for column in file.columns if plain(column) in TAG_NAMES), None)
    return replace(file, used={"movie": file.used["movie"], "tag": column}) if column is not None else None


def read_tags(file: DataFile, movies: pd.DataFrame, keys: np.ndarray | None) -> Sequence[str] | None:
    """Each movie's tags, joined by spaces, in the order of `movies`; None if the file cannot be read.

    A movie is known by its id as it stands in the file.  movies, keys: as in `Dataset`.
    """
    try:
        table = read_table([settled(file)], ("movie", "tag"))
    except DataError as error:  # tags only add to what is known, so that they must not keep a run from its end
        log.warning("no tags are used: %s", error)
        return None
    row_of = {name: row for row, name in enumerate(named_by_id(movies["movie_id"].to_numpy(), keys))}
    codes, texts = table.coded("movie")
    rows = np.array([row_of.get(text, -1) for text in texts.to_pylist()], np.int64)[codes]
    tags: list[dict[str, None]] = [{} for _ in range(len(movies))]
    for row, tag in zip(rows.tolist(), table.columns["tag"].to_pylist(), strict=True):
        if row >= 0:
            tags[row][tag] = None
    return [" ".join(its_tags) for its_tags in tags]


def is_called_tags(path: Path) -> bool:
    """Whether the file is called tags, whatever its ending."""
    return path.name.casefold().split(".", maxsplit=1)[0] == "tags"
