"""Reads movies: ids, titles, years and genres."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from trainer.data.records import DataError, is_int64, records

NO_GENRES = "(no genres listed)"
GENRES_100K = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|Musical|"
    "Mystery|Romance|Sci-Fi|Thriller|War|Western"
).split("|")
FIELDS_BEFORE_GENRES_100K = 5  # id, title, release date, video release date, URL
YEAR_AT_END = re.compile(r"\((\d{4})(?:[–-]\d{0,4})?\)\s*$")  # "Heat (1995)", "Firefly (2002–2003)"

Movie = tuple[int, str, str]  # id, title, genres joined by "|"


def movies_from_csv(path: Path) -> pd.DataFrame:
    """A CSV file with the columns movieId, title and optionally genres.  Raises DataError, as all here do.

    Gives movie_id int64, title str, year int64 (0 if unknown), genres str ("Comedy|Drama", may be empty); unique ids.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    lines = records(path, ",", "utf-8-sig")
    header = [field.strip() for field in next(lines, (1, []))[1]]
    if "movieId" not in header or "title" not in header:
        got = ", ".join(header) or "an empty file"
        raise DataError(f"{path}:1: expected the columns movieId, title and optionally genres; got {got}")
    movie_id, title = header.index("movieId"), header.index("title")
    genres = header.index("genres") if "genres" in header else None
    movies: list[Movie] = []
    for line, fields in lines:
        _check_count(path, line, fields, len(header), ", ".join(header))
        listed = fields[genres] if genres is not None else ""
        movies.append((_movie_id(path, line, fields[movie_id]), fields[title], listed))
    return _frame(path, movies)


def movies_from_dat(path: Path) -> pd.DataFrame:
    """MovieLens 1M: MovieID::Title::Genres, Latin-1."""
    movies: list[Movie] = []
    for line, fields in records(path, "::", "latin-1"):
        _check_count(path, line, fields, 3, "MovieID::Title::Genres")
        movies.append((_movie_id(path, line, fields[0]), fields[1], fields[2]))
    return _frame(path, movies)


def movies_from_100k(path: Path) -> pd.DataFrame:
    """MovieLens 100K's u.item: fields at "|", Latin-1, one 0/1 flag per genre."""
    movies: list[Movie] = []
    for line, fields in records(path, "|", "latin-1"):
        _check_count(path, line, fields, FIELDS_BEFORE_GENRES_100K + len(GENRES_100K), "as in MovieLens 100K's u.item")
        flags = zip(GENRES_100K, fields[FIELDS_BEFORE_GENRES_100K:], strict=True)
        genres = [genre for genre, flag in flags if flag.strip() == "1" and genre != "unknown"]
        movies.append((_movie_id(path, line, fields[0]), fields[1], "|".join(genres)))
    return _frame(path, movies)


def year_of(title: str) -> int:
    """The year that ends a MovieLens title, or 0."""
    match = YEAR_AT_END.search(title)
    return int(match[1]) if match else 0


def _check_count(path: Path, line: int, fields: list[str], expected: int, names: str) -> None:
    if len(fields) != expected:
        raise DataError(f"{path}:{line}: expected {expected} fields ({names}), got {len(fields)}")


def _movie_id(path: Path, line: int, text: str) -> int:
    if not is_int64(text) or int(text) <= 0:
        raise DataError(f"{path}:{line}: movieId: expected a positive 64-bit integer, got {text!r}")
    return int(text)


def _frame(path: Path, movies: list[Movie]) -> pd.DataFrame:
    if not movies:
        raise DataError(f"{path}: expected at least one movie; the file holds none")
    frame = pd.DataFrame(movies, columns=["movie_id", "title", "genres"])
    repeated = frame.duplicated("movie_id")
    if repeated.any():
        movie_id = int(frame["movie_id"][repeated].iloc[0])
        raise DataError(f"{path}: movie {movie_id} is listed twice; expected unique ids")
    frame["year"] = frame["title"].map(year_of).astype("int64")
    frame["genres"] = frame["genres"].where(frame["genres"] != NO_GENRES, "")
    return frame[["movie_id", "title", "year", "genres"]]
