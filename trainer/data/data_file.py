"""One file that may hold ratings or movies: its columns, what they tell, and how its text is written."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainer.data.column_names import MOVIE_NAMES, RATING_NAMES, AmbiguousColumns, columns_used
from trainer.data.genres import GENRES_100K
from trainer.data.records import DataError, shown
from trainer.data.text_files import NotText, TextForm, content_of, head

PARQUET_SUFFIXES = {".parquet", ".pq"}
PACKED_SUFFIXES = {".gz", ".zst", ".bz2", ".lz4"}
SEPARATORS = (",", ";", "\t", "|", "::", " ")
QUOTED = ",;|"  # separators beside which fields may stand in quotes
MAX_COLUMNS = 10_000
FLAG = "genre: "
# MovieLens files without a header, by name
_RATINGS = ("userId", "movieId", "rating", "timestamp")
_ITEM_100K = ("movieId", "title", "releaseDate", "videoReleaseDate", "IMDbURL", "unknown", *GENRES_100K)
WITHOUT_HEADER = {
    "ratings.dat": (_RATINGS, "::"),
    "movies.dat": (("movieId", "title", "genres"), "::"),
    "u.data": (_RATINGS, "\t"),
    "u.item": (_ITEM_100K, "|"),
}


@dataclass(frozen=True)
class DataFile:
    """A table in a file.  form: None for Parquet.  used: what a column tells ("user", "movie", …) to its name.

    MovieLens 100K has a column of 0 and 1 for each genre; what it tells is "genre: Action".
    """

    path: Path
    columns: tuple[str, ...]
    form: TextForm | None
    used: Mapping[str, str]

    @property
    def ignored(self) -> list[str]:
        """Names of the columns that nothing is read from."""
        return [column for column in self.columns if column not in self.used.values()]


def recognised(path: Path) -> DataFile | None:
    """The file if its header, or its name in MovieLens, tells that it holds ratings or movies; else None.

    Raises DataError for what is no table, and for two columns of one name.
    """
    if Path(plain_name(path)).suffix in PARQUET_SUFFIXES:
        try:
            return _with_columns(path, tuple(pq.read_schema(path).names), None)
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"{path}: cannot be read: {str(error)[:200]}") from error
        except AmbiguousColumns as error:
            raise DataError(f"{path}: {error}") from error
    first = first_line(path)
    for separator in SEPARATORS:
        header = _fields(first, separator)
        if len(header) > MAX_COLUMNS:
            raise DataError(f"{path}:1: expected at most {MAX_COLUMNS:,} columns, got {len(header):,}")
        try:
            found = _with_columns(path, header, _form(first, header, True, separator))
        except AmbiguousColumns as error:
            raise DataError(f"{path}:1: {error}") from error
        if found is not None:
            return found
    if plain_name(path) not in WITHOUT_HEADER:
        return None
    columns, separator = WITHOUT_HEADER[plain_name(path)]
    known = _with_columns(path, columns, TextForm(columns, False, separator, "utf-8", quoted=False))
    flags = {f"{FLAG}{genre}": genre for genre in GENRES_100K if genre in columns}
    return replace(known, used={**known.used, **flags}) if known is not None else None


def with_columns_named(path: Path, columns: tuple[str, ...]) -> DataFile:
    """A file of ratings whose columns `--columns` names.  Raises DataError unless its first line has as many fields.

    The first line is taken for a header if it is one, or if no number stands where the rating should be.
    """
    first = first_line(path)
    separator = next((s for s in SEPARATORS if len(_fields(first, s)) == len(columns)), None)
    if separator is None:
        raise DataError(f"{path}:1: expected {len(columns)} fields ({','.join(columns)[:80]}), got {shown(first)}")
    used = columns_used(columns, RATING_NAMES)
    fields = dict(zip(columns, _fields(first, separator), strict=True))
    value = next((fields[used[role]] for role in ("rating", "count") if role in used), "0")
    is_header = _with_columns(path, _fields(first, separator), None) is not None or not _is_number(value)
    return DataFile(path, columns, _form(first, columns, is_header, separator), used)


def first_line(path: Path) -> str:
    """The first line that is not empty, or "".  Raises DataError for what is no text."""
    try:
        return next((line for line in head(path).splitlines() if line), "")
    except NotText as error:
        raise DataError(f"{path}:1: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {str(error)[:200]}") from error


def settled(file: DataFile) -> DataFile:
    """With the encoding and the quoting that the file's whole content shows.  Raises DataError."""
    if file.form is None:
        return file
    latin = "latin-1" if plain_name(file.path) in WITHOUT_HEADER else None  # so MovieLens wrote them
    try:
        content = content_of(file.path, otherwise=latin)
    except NotText as error:
        raise DataError(f"{file.path}:{error}") from error
    except OSError as error:
        raise DataError(f"{file.path}: cannot be read: {str(error)[:200]}") from error
    quoted = file.form.quoted and content.has_quotes
    escaped = quoted and content.has_escaped_quotes
    return replace(file, form=replace(file.form, encoding=content.encoding, quoted=quoted, escaped=escaped))


def plain_name(path: Path) -> str:
    """The file's name in lower case, without the ending of a packed file."""
    return (path.name.removesuffix(path.suffix) if path.suffix.casefold() in PACKED_SUFFIXES else path.name).casefold()


def _with_columns(path: Path, columns: tuple[str, ...], form: TextForm | None) -> DataFile | None:
    used = columns_used(columns, RATING_NAMES)
    if "user" in used and "movie" in used:
        return DataFile(path, columns, form, used)
    used = columns_used(columns, MOVIE_NAMES)
    return DataFile(path, columns, form, used) if "movie" in used and "title" in used else None


def _form(first: str, columns: tuple[str, ...], has_header: bool, separator: str) -> TextForm:
    return TextForm(columns, has_header, separator, "utf-8", separator in QUOTED or first.startswith('"'))


def _fields(line: str, separator: str) -> tuple[str, ...]:
    if separator == "::":
        return tuple(line.split(separator))
    try:
        return tuple(field.strip() for field in next(csv.reader([line], delimiter=separator), []))
    except csv.Error:
        return ()


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
