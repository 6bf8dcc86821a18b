"""Reads ratings: pandas' fast parser first, and a slow pass that finds the line once something is known to be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trainer.data.records import DataError, is_int64, records

MOVIELENS_COLUMNS = ("userId", "movieId", "rating", "timestamp")


@dataclass(frozen=True)
class RatingScale:
    """Lowest and highest rating a file may hold."""

    lowest: float = 0.5
    highest: float = 5.0


FIVE_STARS = RatingScale()


@dataclass(frozen=True)
class RatingsFormat:
    """columns: None where the first line names them.  encoding: Python's name."""

    columns: tuple[str, ...] | None
    separator: str
    encoding: str


CSV = RatingsFormat(None, ",", "utf-8-sig")
DAT = RatingsFormat(MOVIELENS_COLUMNS, "::", "latin-1")
TSV = RatingsFormat(MOVIELENS_COLUMNS, "\t", "latin-1")


def read_ratings(path: Path, form: RatingsFormat, scale: RatingScale) -> pd.DataFrame:
    """Columns user_id int64, movie_id int64, rating float32, timestamp int64 (seconds; 0 where the file has none).

    In file order, unique by (user_id, movie_id).  Raises DataError.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    columns = form.columns or _header(path)
    missing = [c for c in MOVIELENS_COLUMNS[:3] if c not in columns]
    if missing:
        raise DataError(
            f"{path}:1: expected the columns userId, movieId, rating and optionally timestamp; "
            f"missing {', '.join(missing)}, got {', '.join(columns)}"
        )
    # pandas' fast parser splits at one character: "::" is ":" with empty fields between
    names = [n for c in columns for n in (c, f"-{c}")][:-1] if form.separator == "::" else list(columns)
    try:
        ratings = pd.read_csv(
            path,
            sep=form.separator[0],
            names=names,
            header=None if form.columns else 0,
            dtype={"userId": "int64", "movieId": "int64", "rating": "float32", "timestamp": "int64"},
            encoding=form.encoding,
        )
    except (ValueError, OverflowError) as error:  # UnicodeDecodeError is a ValueError
        _find_bad_line(path, form, columns, scale)
        raise DataError(f"{path}: {error}") from error
    if ratings.empty:
        raise DataError(f"{path}: expected at least one rating; the file holds none")
    shifted = not isinstance(
        ratings.index, pd.RangeIndex
    )  # more fields than columns: pandas took the first as an index
    sane = ratings["rating"].between(scale.lowest, scale.highest) & (ratings["userId"] > 0) & (ratings["movieId"] > 0)
    if shifted or not sane.all():
        _find_bad_line(path, form, columns, scale)
    _check_unique(path, form, ratings)
    if "timestamp" not in ratings:
        ratings["timestamp"] = np.int64(0)
    ratings = ratings.rename(columns={"userId": "user_id", "movieId": "movie_id"})
    return ratings[["user_id", "movie_id", "rating", "timestamp"]]


def line_of_record(path: Path, form: RatingsFormat, record: int) -> int:
    """The 1-based line of the 0-based record."""
    at = record + (0 if form.columns else 1)
    return next(line for i, (line, _) in enumerate(records(path, form.separator, form.encoding)) if i == at)


def _header(path: Path) -> tuple[str, ...]:
    for _, fields in records(path, CSV.separator, CSV.encoding):
        return tuple(field.strip() for field in fields)
    raise DataError(f"{path}: expected a header and at least one rating; the file is empty")


def _check_unique(path: Path, form: RatingsFormat, ratings: pd.DataFrame) -> None:
    repeated = ratings.duplicated(["userId", "movieId"])
    if repeated.any():
        at = int(np.argmax(repeated))
        user_id, movie_id = int(ratings["userId"].iloc[at]), int(ratings["movieId"].iloc[at])
        raise DataError(
            f"{path}:{line_of_record(path, form, at)}: expected one rating per user and movie; "
            f"user {user_id} rated movie {movie_id} before"
        )


def _find_bad_line(path: Path, form: RatingsFormat, columns: tuple[str, ...], scale: RatingScale) -> None:
    """Raises DataError for the first bad line."""
    lines = records(path, form.separator, form.encoding)
    if not form.columns:
        next(lines)
    for line, fields in lines:
        if len(fields) != len(columns):
            raise DataError(f"{path}:{line}: expected {len(columns)} fields ({', '.join(columns)}), got {len(fields)}")
        for column, text in zip(columns, fields, strict=True):
            fault = _fault(column, text, scale)
            if fault:
                raise DataError(f"{path}:{line}: {column}: {fault}")


def _fault(column: str, text: str, scale: RatingScale) -> str | None:
    if column in ("userId", "movieId", "timestamp") and not is_int64(text):
        return f"expected a 64-bit integer, got {text!r}"
    if column in ("userId", "movieId") and int(text) <= 0:
        return f"expected a positive id, got {text}"
    if column == "rating":
        try:
            rating = float(text)
        except ValueError:
            return f"expected a number, got {text!r}"
        if not scale.lowest <= rating <= scale.highest:
            return f"expected {scale.lowest:g} to {scale.highest:g}, got {text} (--rating-scale sets another scale)"
    return None
