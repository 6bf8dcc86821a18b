"""Which files of a folder hold ratings and movies, told by their columns first and by their names second."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainer.data.column_names import MOVIE_NAMES, RATING_NAMES, AmbiguousColumns, columns_used, plain
from trainer.data.genres import GENRES_100K
from trainer.data.records import DataError, shown
from trainer.data.text_files import NotText, TextForm, content_of, head

TEXT_SUFFIXES = {".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".item"}
PARQUET_SUFFIXES = {".parquet", ".pq"}
PACKED_SUFFIXES = {".gz", ".zst", ".bz2", ".lz4"}
SEPARATORS = (",", ";", "\t", "|", "::", " ")
FLAG = "genre: "
MAX_COLUMNS = 10_000
RATINGS_STEMS = ("ratings", "rating", "interactions", "u.data")
MOVIES_STEMS = ("movies", "items", "books", "products", "catalogue", "catalog", "films", "u.item")
# MovieLens files without a header, by name
_DAT_RATINGS = ("userId", "movieId", "rating", "timestamp")
_DAT_MOVIES = ("movieId", "title", "genres")
_ITEM_100K = ("movieId", "title", "releaseDate", "videoReleaseDate", "IMDbURL", "unknown", *GENRES_100K)
_WITHOUT_HEADER = {
    "ratings.dat": (_DAT_RATINGS, "::"),
    "movies.dat": (_DAT_MOVIES, "::"),
    "u.data": (_DAT_RATINGS, "\t"),
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


@dataclass(frozen=True)
class Files:
    """The files of one data set.  movies: None where nothing lists them.  left_alone: names of other tables there."""

    ratings: Sequence[DataFile]
    movies: DataFile | None
    left_alone: Sequence[str]

    @property
    def all(self) -> list[DataFile]:
        """The files of ratings, then that of movies."""
        return [*self.ratings, *([self.movies] if self.movies is not None else [])]


def find_files(folder: Path, columns: tuple[str, ...] | None) -> Files:
    """columns: those of ratings without a header.  Raises DataError if there are no ratings, or if it cannot be told
    which files hold them."""
    if not folder.is_dir():
        got = "a file: name the folder that holds it" if folder.is_file() else "no such folder"
        raise DataError(f"{folder}: expected a folder with ratings, got {got if not _is_special(folder) else 'a pipe'}")
    paths = sorted(path for entry in sorted(folder.iterdir()) for path in _tables(entry))
    refused: dict[Path, str] = {}
    ratings: list[DataFile] = []
    movies: list[DataFile] = []
    for path in paths:
        try:
            found = _recognised(path, columns)
        except DataError as error:
            refused[path] = str(error)
            continue
        if found is not None:
            (ratings if "user" in found.used else movies).append(found)
    for path, reason in refused.items():
        if _stem(path) in (*RATINGS_STEMS, *MOVIES_STEMS) or not ratings:
            raise DataError(reason)
    if not ratings:
        raise DataError(_nothing_found(folder, [path for path in paths if path not in {m.path for m in movies}]))
    chosen = _choose_ratings(ratings, folder)
    catalogue = _choose_movies(movies, chosen[0], folder)
    read = {file.path for file in (*chosen, *([catalogue] if catalogue else []))}
    left_alone = [str(path.relative_to(folder)) for path in paths if path not in read]
    return Files([settled(file) for file in chosen], settled(catalogue) if catalogue else None, left_alone)


def ratings_file(path: Path, columns: tuple[str, ...] | None) -> DataFile:
    """A file given by itself.  Raises DataError unless it holds ratings."""
    if not path.is_file():
        raise DataError(f"{path}: expected a file of ratings, got {'a folder' if path.is_dir() else 'no such file'}")
    found = _recognised(path, columns)
    if found is None or "user" not in found.used:
        raise DataError(_no_header(path))
    return settled(found)


def movies_file(path: Path) -> DataFile:
    """A file given by itself.  Raises DataError unless it lists movies."""
    if not path.is_file():
        raise DataError(f"{path}: expected a file of movies, got {'a folder' if path.is_dir() else 'no such file'}")
    found = _recognised(path, None)
    if found is None or "title" not in found.used:
        raise DataError(f"{path}:1: expected the columns movieId and title, and optionally genres and year")
    return settled(found)


def plain_name(path: Path) -> str:
    """The file's name in lower case, without the ending of a packed file."""
    return (path.name.removesuffix(path.suffix) if path.suffix.casefold() in PACKED_SUFFIXES else path.name).casefold()


def settled(file: DataFile) -> DataFile:
    """With the encoding and the quoting that the file's whole content shows.  Raises DataError."""
    if file.form is None:
        return file
    latin = "latin-1" if plain_name(file.path) in _WITHOUT_HEADER else None  # so MovieLens wrote them
    try:
        content = content_of(file.path, otherwise=latin)
    except NotText as error:
        raise DataError(f"{file.path}:{error}") from error
    except OSError as error:
        raise DataError(f"{file.path}: {error.strerror or error}") from error
    quoted = file.form.quoted and content.has_quotes
    escaped = quoted and content.has_escaped_quotes
    return replace(file, form=replace(file.form, encoding=content.encoding, quoted=quoted, escaped=escaped))


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _tables(entry: Path) -> list[Path]:
    """The entry if its name is one of a table's; its files where it is a folder of parts, such as ratings.parquet/."""
    if entry.is_dir():
        if _stem(entry) not in (*RATINGS_STEMS, *MOVIES_STEMS):
            return []
        return [part for part in sorted(entry.iterdir()) if part.is_file() and not part.name.startswith(("_", "."))]
    suffix = Path(plain_name(entry)).suffix
    return [entry] if entry.is_file() and suffix in TEXT_SUFFIXES | PARQUET_SUFFIXES else []


def _stem(path: Path) -> str:
    name = plain_name(path)
    return name if name in _WITHOUT_HEADER else name.split(".", maxsplit=1)[0]


def _recognised(path: Path, columns: tuple[str, ...] | None) -> DataFile | None:
    """The file with what its columns tell; None if they are neither a rating's nor a movie's."""
    try:
        if Path(plain_name(path)).suffix in PARQUET_SUFFIXES:
            return _with_columns(path, tuple(pq.read_schema(path).names), None)
        lines = [line for line in head(path).splitlines() if line]
        first = lines[0] if lines else ""
        return _of_text(path, first, columns)
    except NotText as error:
        raise DataError(f"{path}:1: {error}") from error
    except AmbiguousColumns as error:
        raise DataError(f"{path}:1: {error}") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: cannot be read: {str(error)[:200]}") from error


def _of_text(path: Path, first: str, columns: tuple[str, ...] | None) -> DataFile | None:
    for separator in SEPARATORS:
        header = _fields(first, separator)
        if len(header) > MAX_COLUMNS:
            raise DataError(f"{path}:1: expected at most {MAX_COLUMNS:,} columns, got {len(header):,}")
        quoted = separator in ",;|" or first.startswith('"')
        found = _with_columns(path, header, TextForm(header, True, separator, "utf-8", quoted))
        if found is not None:
            return found
    name = plain_name(path)
    if columns is not None and first:
        for separator in SEPARATORS:
            if len(_fields(first, separator)) == len(columns):
                form = TextForm(columns, False, separator, "utf-8", separator in ",;|" or first.startswith('"'))
                return _with_columns(path, columns, form)
    if name in _WITHOUT_HEADER:
        known, separator = _WITHOUT_HEADER[name]
        found = _with_columns(path, known, TextForm(known, False, separator, "utf-8", quoted=False))
        flags = {f"{FLAG}{genre}": genre for genre in GENRES_100K if genre in known}
        return replace(found, used={**found.used, **flags}) if found is not None else None
    return None


def _with_columns(path: Path, columns: tuple[str, ...], form: TextForm | None) -> DataFile | None:
    used = columns_used(columns, RATING_NAMES)
    if "user" in used and "movie" in used:
        return DataFile(path, columns, form, used)
    used = columns_used(columns, MOVIE_NAMES)
    if "movie" in used and "title" in used:
        return DataFile(path, columns, form, used)
    return None


def _fields(line: str, separator: str) -> tuple[str, ...]:
    if separator == "::":
        return tuple(line.split(separator))
    try:
        return tuple(field.strip() for field in next(csv.reader([line], delimiter=separator), []))
    except csv.Error:
        return ()


def _choose_ratings(found: list[DataFile], folder: Path) -> list[DataFile]:
    """The table called ratings; else all that tell what was rated; else all that tell who saw what, such as logs."""
    for stem in RATINGS_STEMS:
        named = [file for file in found if stem in (_stem(file.path), _stem(file.path.parent))]
        if named:
            parts = named[0].path.parent != folder
            return [file for file in named if file.path.parent == named[0].path.parent] if parts else named[:1]
    rated = [file for file in found if "rating" in file.used or "count" in file.used] or [
        file for file in found if not any(plain(column).startswith("tag") for column in file.columns)
    ]
    if not rated:
        raise DataError(f"{folder}: expected a file with ratings, got only tags in {found[0].path.name}")
    odd = next((file for file in rated if set(file.used) != set(rated[0].used)), None)
    if odd is not None:
        raise DataError(
            f"{folder}: expected all ratings in files with the same columns, got {rated[0].path.name} with "
            f"{', '.join(rated[0].used)} and {odd.path.name} with {', '.join(odd.used)}: call the one to read ratings"
        )
    return rated


def _choose_movies(found: list[DataFile], ratings: DataFile, folder: Path) -> DataFile | None:
    by_name = [file for stem in MOVIES_STEMS for file in found if stem in (_stem(file.path), _stem(file.path.parent))]
    if not by_name and len(found) > 1:
        names = ", ".join(file.path.name for file in found[:4])
        raise DataError(f"{folder}: expected one list of movies, got {names}: call the one to read movies")
    chosen = next(iter(by_name or found), None)
    if chosen is None:
        return None
    return replace(chosen, used={**chosen.used, **columns_used(chosen.columns, MOVIE_NAMES, ratings.used["movie"])})


def _nothing_found(folder: Path, paths: list[Path]) -> str:
    for path in paths:
        if _stem(path) in RATINGS_STEMS or "rating" in path.name.casefold() or len(paths) == 1:
            return _no_header(path)
    entries = sorted(f"{entry.name}{'' if entry.is_file() else ' (no file)'}" for entry in folder.iterdir())
    names = ", ".join(entries[:8]) + (", …" if len(entries) > 8 else "")
    return (
        f"{folder}: expected ratings in a .csv, .tsv, .txt, .dat or .parquet file; found {names or 'an empty folder'}"
    )


def _no_header(path: Path) -> str:
    try:
        first = next(iter(head(path).splitlines()), "")
    except NotText as error:
        return f"{path}:1: {error}"
    if not first:
        return f"{path}: expected a header and at least one rating; the file is empty"
    return (
        f"{path}:1: expected a header with a user and a movie, such as userId,movieId,rating,timestamp; got "
        f"{shown(first)} (where there is no header, --columns user,movie,rating,timestamp names the columns)"
    )
