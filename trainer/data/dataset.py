"""Reads a data set from a folder: MovieLens files, or any CSV in that form.

Three layouts are known by the names of their files: `ratings.csv` and `movies.csv` (with a header), `ratings.dat` and
`movies.dat` ("::" between fields, Latin-1), `u.data` and `u.item` (MovieLens 100K).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trainer.data.movies import movies_from_100k, movies_from_csv, movies_from_dat
from trainer.data.ratings import CSV, DAT, FIVE_STARS, TSV, RatingScale, RatingsFormat, line_of_record, read_ratings
from trainer.data.records import DataError


@dataclass(frozen=True)
class Dataset:
    """Checked ratings and movies.

    ratings: as `read_ratings` gives them.  movies: as `movies_from_csv` gives them; every rated movie is among them.
    fingerprint: sha256 over both files, hex.
    """

    name: str
    ratings: pd.DataFrame
    movies: pd.DataFrame
    fingerprint: str
    generated: bool = False


@dataclass(frozen=True)
class _Layout:
    ratings_name: str
    movies_name: str
    ratings_format: RatingsFormat
    read_movies: Callable[[Path], pd.DataFrame]


_LAYOUTS = (
    _Layout("ratings.csv", "movies.csv", CSV, movies_from_csv),
    _Layout("ratings.dat", "movies.dat", DAT, movies_from_dat),
    _Layout("u.data", "u.item", TSV, movies_from_100k),
)


def read_folder(folder: Path, name: str | None = None, scale: RatingScale = FIVE_STARS) -> Dataset:
    """Reads whichever known pair of files `folder` holds. Raises DataError."""
    layout = next((layout for layout in _LAYOUTS if (folder / layout.ratings_name).is_file()), None)
    if layout is None:
        known = ", ".join(f"{layout.ratings_name} + {layout.movies_name}" for layout in _LAYOUTS)
        found = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) if folder.is_dir() else "no such folder"
        raise DataError(f"{folder}: expected one of {known}; found {found or 'an empty folder'}")
    ratings_path, movies_path = folder / layout.ratings_name, folder / layout.movies_name
    if not movies_path.is_file():
        raise DataError(f"{movies_path}: expected this file beside {layout.ratings_name}; it is missing")
    ratings = read_ratings(ratings_path, layout.ratings_format, scale)
    movies = layout.read_movies(movies_path)
    unknown = ~ratings["movie_id"].isin(movies["movie_id"])
    if unknown.any():
        at = int(np.argmax(unknown))
        line = line_of_record(ratings_path, layout.ratings_format, at)
        movie_id = int(ratings["movie_id"].iloc[at])
        raise DataError(f"{ratings_path}:{line}: movie {movie_id} is rated, but {layout.movies_name} does not list it")
    return Dataset(name or folder.resolve().name, ratings, movies, _fingerprint(ratings_path, movies_path))


def _fingerprint(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
