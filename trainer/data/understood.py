"""What was understood of a data set, in four lines and in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trainer.data.data_file import FLAG, DataFile
from trainer.data.folder import Files
from trainer.data.movies import Catalogue
from trainer.data.odd_rows import OddRow, oddest
from trainer.data.rows import Rows
from trainer.data.times import Times
from trainer.data.titles import without_control_characters
from trainer.workers.workers import ALONE, Workers, union

SHOWN_NAMES, SHOWN_CHARACTERS = 6, 40


@dataclass(frozen=True)
class Understood:
    """How a data set was read.

    lines: for people: the ratings' files, the movies' file, what was counted, the times.
    implicit: whether ratings tell only that somebody did something.
    num_duplicates: ratings left out because the same user rated the same movie later.
    num_orphans: ratings left out because the list of movies lacks theirs.
    num_seen: rows that say only that a movie was seen, among ratings.
    num_cleaned: titles in which control characters were replaced, or that were cut.
    num_listed_twice: rows of the list of movies that an earlier one has made superfluous.
    ignored: columns that nothing is read from.  left_alone: files that are not read.
    odd_rows: at most ten, the oddest first; `odd_lines` shows them.
    """

    lines: tuple[str, str, str, str]
    implicit: bool
    num_duplicates: int
    num_orphans: int
    num_seen: int
    num_cleaned: int
    num_listed_twice: int
    ignored: tuple[str, ...]
    left_alone: tuple[str, ...]
    odd_rows: tuple[OddRow, ...]


def understood(
    name: str,
    files: Files,
    rows: Rows,
    catalogue: Catalogue | None,
    ratings: pd.DataFrame,
    times: Times,
    duplicate: np.ndarray,
    orphan: np.ndarray,
    workers: Workers = ALONE,
) -> Understood:
    """ratings: those that are kept.  duplicate, orphan: bool for each row, those that are left out.

    workers: each has a part of these. What is counted is the sum, and the odd rows are of its part."""
    counts = [duplicate.sum(), orphan.sum(), rows.values.num_seen, len(ratings), ratings["user_id"].nunique()]
    num_duplicates, num_orphans, num_seen, num_ratings, users = workers.sum(np.array(counts, np.int64)).tolist()
    num_cleaned, num_listed_twice = _defects(catalogue)
    movies = len(union(workers, ratings["movie_id"].unique()))
    counted = (
        f"{num_ratings:,} ratings of {movies:,} movies by {users:,} users",
        rows.values.words,
        _ids(rows, catalogue),
        _if_any(num_seen, "of the ratings say only that the movie was seen"),
        _if_any(num_duplicates, "repeated ratings left out (a user's last of a movie counts)"),
        _if_any(num_orphans, "ratings left out, for the list of movies lacks theirs"),
        _if_any(num_cleaned, "titles had control characters or were too long"),
        _if_any(num_listed_twice, "movies are listed again (the first counts)"),
    )
    return Understood(
        (
            f"ratings from {_file(files.ratings[0])}{_more(files.ratings[1:])}",
            f"movies from {_movies(files, catalogue)}{_tags(files)}{_left_alone(files)}",
            f"{name}: {'; '.join(part for part in counted if part)}",
            f"times: {_times(times)}",
        ),
        rows.values.implicit,
        num_duplicates,
        num_orphans,
        num_seen,
        num_cleaned,
        num_listed_twice,
        tuple(column for file in files.all for column in file.ignored),
        tuple(files.left_alone),
        oddest(rows, catalogue, duplicate, orphan),
    )


def _defects(catalogue: Catalogue | None) -> tuple[int, int]:
    """Return how many titles of a list of movies were cleaned, and how many of its rows are superfluous."""
    return (int(catalogue.cleaned.sum()), int(catalogue.listed_twice.sum())) if catalogue is not None else (0, 0)


def _file(file: DataFile) -> str:
    columns = ", ".join(f"{role} = {column}" for role, column in file.used.items() if not role.startswith(FLAG))
    form = f" ({file.form})" if file.form is not None else ""
    return f"{file.path.name}{form}: {columns}" + (f"; ignored: {_some(file.ignored)}" if file.ignored else "")


def _more(files: Sequence[DataFile]) -> str:
    return f"; and {len(files):,} more: {_some([file.path.name for file in files])}" if files else ""


def _movies(files: Files, catalogue: Catalogue | None) -> str:
    if catalogue is None or files.movies is None:
        return "no file: they are called by their ids"
    found = f" ({catalogue.genres_found}; {catalogue.years_found})"
    return _file(files.movies) + found


def _tags(files: Files) -> str:
    return f"; tags from {files.tags.path.name}" if files.tags is not None else ""


def _left_alone(files: Files) -> str:
    return f"; other files: {_some(files.left_alone)}" if files.left_alone else ""


def _ids(rows: Rows, catalogue: Catalogue | None) -> str:
    why_movies = rows.movies.why_text or (catalogue.ids.why_text if catalogue is not None else "")
    texts = [f"{name} ids are text{why}" for name, why in (("user", rows.users.why_text), ("movie", why_movies)) if why]
    return ", ".join(texts) or "ids are whole numbers"


def _times(times: Times) -> str:
    if not times.usable:
        return f"{times.words}: a random fifth of each user's ratings is held out, and none counts as newer"
    some = f"; {times.num_users_without:,} users without: at random" if times.num_users_without else ""
    return f"{times.words}: the last fifth of each user's ratings is held out{some}"


def _if_any(count: int, what: str) -> str:
    return f"{count:,} {what}" if count else ""


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(
        without_control_characters(name)[:SHOWN_CHARACTERS] or "(no name)" for name in names[:SHOWN_NAMES]
    )
    return shown + (f", … ({len(names):,} in all)" if len(names) > SHOWN_NAMES else "")
