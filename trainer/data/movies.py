"""The movies of a data set: read from a catalogue and cleaned, so that the service can read what is published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from trainer.data.data_file import FLAG, DataFile
from trainer.data.genres import split_genres
from trainer.data.ids import Ids, ids_of, numbered
from trainer.data.records import DataError
from trainer.data.tables import Table, read_table
from trainer.data.titles import clean_title, year_of, year_of_date, year_of_title

ROLES = ("movie", "title", "genres", "year", "date")


@dataclass(frozen=True)
class Catalogue:
    """A list of movies as read.  ids: of its rows.  titles, genres: str[n], one line each; genres joined by "|".

    years: int64[n], 0 where unknown.  cleaned: bool[n], titles that had control characters or were too long.
    listed_twice: bool[n], rows whose id an earlier row has.
    genres_found: how genres were separated.  years_found: where the years come from.
    """

    table: Table
    ids: Ids
    titles: np.ndarray
    years: np.ndarray
    genres: np.ndarray
    cleaned: np.ndarray
    listed_twice: np.ndarray
    genres_found: str
    years_found: str


def read_catalogue(file: DataFile) -> Catalogue:
    """Raises DataError if the file holds no movie, or an id that cannot be used."""
    flags = [role for role in file.used if role.startswith(FLAG)]
    table = read_table([file], (*ROLES, *flags))
    if not len(table):
        raise DataError(f"{file.path}: expected at least one movie; the file holds none")
    ids = ids_of(table, "movie")
    originals = table.columns["title"].to_pylist()
    titles = [clean_title(title) for title in originals]
    cleaned = [title != original.strip() for title, original in zip(titles, originals, strict=True)]
    years, years_found = _years(table, titles)
    genres, genres_found = [""] * len(table), "no genres"
    if flags:
        genres, genres_found = _flagged(table, flags), "genres as columns of 0 and 1"
    elif "genres" in table.columns:
        genres, how = split_genres(_texts(table, "genres"))
        genres_found = f"genres {how}"
    return Catalogue(
        replace(table, columns={}),
        ids,
        np.array(titles, object),
        years,
        np.array(genres, object),
        np.array(cleaned, bool),
        pd.Series(numbered([ids])[0][0]).duplicated().to_numpy(),
        genres_found,
        years_found,
    )


def movie_frame(catalogue: Catalogue, movie_ids: np.ndarray, keys: np.ndarray | None) -> pd.DataFrame:
    """movie_id int64, title str, year int64 (0 if unknown), genres str ("Comedy|Drama", may be empty), in file order.

    Of a movie that is listed twice, the first row counts.  A movie without a title is called by its id.
    """
    frame = pd.DataFrame(
        {"movie_id": movie_ids, "title": catalogue.titles, "year": catalogue.years, "genres": catalogue.genres}
    ).astype({"movie_id": np.int64})
    frame = frame[~frame.duplicated("movie_id")].reset_index(drop=True)
    untitled = (frame["title"] == "").to_numpy()
    frame.loc[untitled, "title"] = named_by_id(frame["movie_id"].to_numpy()[untitled], keys)
    return frame


def frame_without_catalogue(movie_ids: np.ndarray, keys: np.ndarray | None) -> pd.DataFrame:
    """Return a table like that of `movie_frame`: a movie for each id, called by its id.  movie_ids: int64, unique."""
    titles = named_by_id(movie_ids, keys)
    return pd.DataFrame({"movie_id": movie_ids.astype(np.int64), "title": titles, "year": 0, "genres": ""})


def named_by_id(movie_ids: np.ndarray, keys: np.ndarray | None) -> np.ndarray:
    """object[n] of str: each movie's id as it stands in the data."""
    return np.array([str(i) for i in movie_ids] if keys is None else [str(keys[i]) for i in movie_ids], object)


def _texts(table: Table, role: str) -> list[str]:
    return [str(text) for text in table.columns[role].to_pylist()]


def _flagged(table: Table, flags: Sequence[str]) -> list[str]:
    """Each movie's genres joined by "|", from a column of 0 and 1 for each."""
    on = np.array([[text.strip() == "1" for text in _texts(table, flag)] for flag in flags])
    names = [flag.removeprefix(FLAG) for flag in flags]
    return ["|".join(name for name, is_on in zip(names, row, strict=True) if is_on) for row in on.T]


def _years(table: Table, titles: list[str]) -> tuple[np.ndarray, str]:
    """(int64[n], where they come from): a column of years, else the end of the title, else a date."""
    years = np.zeros(len(table), np.int64)
    found = []
    used = table.files[0].used
    sources: list[tuple[str, list[str], Callable[[str], int]]] = [("in titles", titles, year_of_title)]
    if "year" in table.columns:
        sources.insert(0, (f"= {used['year']}", _texts(table, "year"), year_of))
    if "date" in table.columns:
        sources.append((f"of {used['date']}", _texts(table, "date"), year_of_date))
    for name, texts, year in sources:
        missing = np.flatnonzero(years == 0)
        years[missing] = [year(texts[at]) for at in missing]
        if (years[missing] > 0).any():
            found.append(f"year {name}")
    return years, ", then ".join(found) or "no years"
