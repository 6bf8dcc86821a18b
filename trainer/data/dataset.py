"""Reads a data set: ratings and movies as people have them, checked, with an account of what was understood."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from trainer.data.duplicates import is_last
from trainer.data.folder import Files, find_files
from trainer.data.ids import numbered, without_unused
from trainer.data.movies import Catalogue, frame_without_catalogue, movie_frame, read_catalogue
from trainer.data.order import narrow
from trainer.data.ratings import FIVE_STARS, RatingScale
from trainer.data.records import DataError
from trainer.data.rows import Rows, read_rows
from trainer.data.shards import expect_some
from trainer.data.tables import Table
from trainer.data.tags import read_tags
from trainer.data.times import Times, judged
from trainer.data.understood import Understood, understood
from trainer.workers.workers import ALONE, Workers, union


@dataclass(frozen=True)
class Reading:
    """How to read.  columns: those of ratings without a header.  strict: refuse what would be counted and left out."""

    scale: RatingScale = FIVE_STARS
    columns: tuple[str, ...] | None = None
    strict: bool = False


DEFAULT_READING, USABLE = Reading(), Times()


@dataclass(frozen=True)
class MergedEvents:
    """The recorded events that a data set holds beside the ratings of its files: all up to number `last_event`.

    hidden_users: int64[n], ascending, by the number that stands for a user in the store.
    hidden_movies: int64[n], the movie_id that each of them hid.  words: what was merged, for people.
    """

    store_id: str
    last_event: int
    num_events: int
    hidden_users: np.ndarray
    hidden_movies: np.ndarray
    words: str


@dataclass(frozen=True)
class Dataset:
    """Checked ratings and movies.

    ratings: user_id, movie_id, rating float32 (NaN: seen but not rated; 1 for all if they are implicit), timestamp
    (seconds since 1970; 0 where times cannot be used); unique by user and movie, in file order. Each column of whole
    numbers is int32 if all of them fit, else int64.
    movies: movie_id int64, title str, year int64 (0 if unknown), genres str ("Comedy|Drama", may be empty), tags
    str (only where there are tags; may be empty); unique by movie_id; every rated movie is among them.
    fingerprint: sha256 over the files, hex.
    user_keys, movie_keys: object of str, sorted, unique: the ids as text, which user_id and movie_id are positions in;
    None where ids are whole numbers.  times: whether they are usable.  understood: None for data made by the program.
    has_catalogue: whether movies come from a list; if not, they are those that somebody rated.
    events: None if none were merged.
    """

    name: str
    ratings: pd.DataFrame
    movies: pd.DataFrame
    fingerprint: str
    generated: bool = False
    user_keys: np.ndarray | None = None
    movie_keys: np.ndarray | None = None
    times: Times = USABLE
    understood: Understood | None = None
    has_catalogue: bool = True
    events: MergedEvents | None = None

    @property
    def implicit(self) -> bool:
        """Whether ratings tell only that somebody did something."""
        return self.understood is not None and self.understood.implicit


def read_folder(
    folder: Path, name: str | None = None, reading: Reading = DEFAULT_READING, workers: Workers = ALONE
) -> Dataset:
    """Reads the ratings and the movies that `folder` holds. Raises DataError.

    Each of several workers holds the ratings of its users; all else in the data set is the same for all.
    Raises ClusterError if one of them has other files.
    """
    files = find_files(folder, reading.columns)
    fingerprint = _fingerprint([file.path for file in files.all])
    workers.expect_alike({"the files' checksum": fingerprint})
    catalogue = read_catalogue(files.movies) if files.movies is not None else None
    rows = read_rows(files.ratings, reading.scale, workers)
    (user_ids,), user_keys = numbered([rows.users])
    (movie_ids, *listed), movie_keys = numbered([rows.movies, *([catalogue.ids] if catalogue is not None else [])])
    last = is_last(user_ids, movie_ids, rows.seconds)
    is_listed = np.isin(movie_ids, listed[0]) if listed else np.ones(len(movie_ids), bool)
    if reading.strict:
        refuse_first(rows.table, ~last, "expected one rating per user and movie, got another of the same later on")
        refuse_first(rows.table, ~is_listed, "expected a movie that the list of movies holds")
    kept = last & is_listed
    _check_some_are_listed(rows, kept, files)
    if workers.count > 1:
        expect_some(workers, int(kept.sum()), "ratings of listed movies")
    chosen = kept if not kept.all() else slice(None)  # all of many million rows need no copy
    user_ids, movie_ids = user_ids[chosen], movie_ids[chosen]
    timestamps, times = judged(user_ids, rows.seconds[chosen], rows.known[chosen], rows.has_times, workers)
    movies = _movies(catalogue, listed[0] if listed else union(workers, np.unique(movie_ids)), movie_keys)
    user_ids, user_keys = without_unused(user_ids, user_keys, workers)
    movie_ids, movies, movie_keys = _renumbered(movie_ids, movies, movie_keys)
    tags = read_tags(files.tags, movies, movie_keys) if files.tags is not None else None
    movies = movies.assign(tags=tags) if tags is not None else movies
    ratings = ratings_frame(user_ids, movie_ids, rows.values.ratings[chosen], timestamps)
    name = name or folder.resolve().name
    account = understood(name, files, rows, catalogue, ratings, times, ~last, last & ~is_listed, workers)
    has_list = catalogue is not None
    del rows
    pa.default_memory_pool().release_unused()  # a gigabyte of a hundred million ratings
    return Dataset(name, ratings, movies, fingerprint, False, user_keys, movie_keys, times, account, has_list)


def ratings_frame(
    user_ids: np.ndarray, movie_ids: np.ndarray, ratings: np.ndarray, timestamps: np.ndarray
) -> pd.DataFrame:
    """Return the table that `Dataset.ratings` describes."""
    numbers = {"user_id": user_ids, "movie_id": movie_ids, "timestamp": timestamps}
    columns = {name: narrow(values) for name, values in numbers.items()} | {"rating": ratings}
    columns = {name: columns[name] for name in ("user_id", "movie_id", "rating", "timestamp")}
    return pd.DataFrame(columns, copy=False)


def refuse_first(table: Table, bad: np.ndarray, message: str) -> None:
    """Raises DataError for the first bad row, by its file and line.  bad: bool[n]."""
    if bad.any():
        table.refuse(int(np.argmax(bad)), "movie", message)


def _check_some_are_listed(rows: Rows, kept: np.ndarray, files: Files) -> None:
    if kept.any() or files.movies is None:
        return
    first = f"{rows.movies.texts[int(rows.movies.codes[0])].as_py()!r}"
    raise DataError(
        f"{files.ratings[0].path}: expected ids of movies that {files.movies.path.name} lists in its column "
        f"{files.movies.used['movie']}, got none of them in {len(kept):,} ratings, such as {first[:40]}"
    )


def _movies(catalogue: Catalogue | None, movie_ids: np.ndarray, keys: np.ndarray | None) -> pd.DataFrame:
    if catalogue is None:
        return frame_without_catalogue(movie_ids, keys)
    return movie_frame(catalogue, movie_ids, keys)


def _renumbered(
    movie_ids: np.ndarray, movies: pd.DataFrame, keys: np.ndarray | None
) -> tuple[np.ndarray, pd.DataFrame, np.ndarray | None]:
    """Ratings' movie ids, movies and keys, without the keys of movies that are not listed."""
    if keys is None:
        return movie_ids, movies, None
    both, keys = without_unused(np.concatenate([movies["movie_id"].to_numpy(), movie_ids]), keys)
    return both[len(movies) :], movies.assign(movie_id=both[: len(movies)]), keys


def _fingerprint(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
