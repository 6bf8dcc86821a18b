"""The rows of a data set that look oddest: where a file was misread, they show it first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from trainer.data.movies import Catalogue
from trainer.data.rows import Rows
from trainer.data.tables import Table
from trainer.data.titles import without_control_characters

NUM_ODD_ROWS, EXAMPLES, SHOWN_CHARACTERS = 10, 2, 100


@dataclass(frozen=True)
class OddRow:
    """A row worth a look.  table: where it stands.  row: counted from 0."""

    why: str
    table: Table
    row: int


def oddest(rows: Rows, catalogue: Catalogue | None, duplicate: np.ndarray, orphan: np.ndarray) -> tuple[OddRow, ...]:
    """At most ten: first those that something was wrong with, then extremes.

    duplicate, orphan: bool for each row of ratings, those that are left out.
    """
    found: list[OddRow] = []
    taken: set[tuple[int, int]] = set()
    of_ratings = ((why, rows.table, at) for why, at in _of_ratings(rows, duplicate, orphan))
    of_movies = ((why, catalogue.table, at) for why, at in _of_movies(catalogue)) if catalogue is not None else iter(())
    extremes = ((why, rows.table, at) for why, at in _extremes(rows))
    for why, table, row in (*of_ratings, *of_movies, *extremes):
        if (id(table), row) not in taken:
            taken.add((id(table), row))
            found.append(OddRow(why, table, row))
    return tuple(found[:NUM_ODD_ROWS])


def odd_lines(odd_rows: Sequence[OddRow]) -> list[str]:
    """A line for each row: its place, what stands there, and why it is odd.  Reads the files again."""
    of_table: dict[int, list[OddRow]] = {}
    for odd in odd_rows:
        of_table.setdefault(id(odd.table), []).append(odd)
    places = {key: odd[0].table.places([o.row for o in odd]) for key, odd in of_table.items()}
    lines = []
    for odd in odd_rows:
        place, text = places[id(odd.table)][odd.row]
        text = without_control_characters(text)
        shown = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
        lines.append(f"{Path(place).name}  {shown}  ({odd.why})")
    return lines


def _of_ratings(rows: Rows, duplicate: np.ndarray, orphan: np.ndarray) -> Iterator[tuple[str, int]]:
    yield from _first(duplicate, "the same user rated this movie later")
    yield from _first(orphan, "the list of movies lacks this one")
    yield from _first(np.isnan(rows.values.ratings), "seen, not rated")
    if rows.has_times and not rows.known.all():
        yield from _first(~rows.known, "without a time")
    for name, ids in (("user", rows.users), ("movie", rows.movies)):
        if ids.why_text:
            yield f"the {name}'s id is text", int(np.argmax(ids.codes == ids.example))


def _of_movies(catalogue: Catalogue) -> Iterator[tuple[str, int]]:
    yield from _first(catalogue.cleaned, "the title was cleaned")
    yield from _first(catalogue.listed_twice, "the movie is listed twice: the first counts")
    form = catalogue.table.files[0].form
    if form is not None and form.is_guessed:
        yield from _first(np.array([not t.isascii() for t in catalogue.titles]), "letters of a guessed encoding")
    yield from _first(np.array([not title for title in catalogue.titles]), "without a title")
    num_genres = np.array([genres.count("|") + bool(genres) for genres in catalogue.genres])
    if num_genres.any():
        yield "the most genres", int(np.argmax(num_genres))
    yield "the longest title", int(np.argmax([len(title) for title in catalogue.titles]))
    if (catalogue.years > 0).any():
        yield from islice(_first(catalogue.years == 0, "without a year"), 1)
        yield "the latest year", int(np.argmax(catalogue.years))


def _extremes(rows: Rows) -> Iterator[tuple[str, int]]:
    for name, ids in (("user", rows.users), ("movie", rows.movies)):
        counts = np.bincount(ids.codes)
        yield f"the {name} with the most ratings, {counts.max():,}", int(np.argmax(ids.codes == counts.argmax()))
    by_rating = pd.Series(rows.values.ratings, copy=False).value_counts()
    if len(by_rating) > 1:
        rarest = by_rating.index[-1]
        yield f"the rarest rating, {rarest:g}", int(np.argmax(rows.values.ratings == rarest))
    if rows.known.any():
        known = np.flatnonzero(rows.known)
        yield "the earliest time", int(known[np.argmin(rows.seconds[known])])
        yield "the latest time", int(known[np.argmax(rows.seconds[known])])
    for row in range(min(len(rows.table), NUM_ODD_ROWS)):
        yield "one of the first rows", row


def _first(odd: np.ndarray, why: str) -> Iterator[tuple[str, int]]:
    for row in np.flatnonzero(odd)[:EXAMPLES]:
        yield why, int(row)
