"""Which files of a folder hold ratings and movies, told by their columns first and by their names second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.data.column_names import MOVIE_NAMES, columns_used, plain
from trainer.data.data_file import (
    PARQUET_SUFFIXES,
    WITHOUT_HEADER,
    DataFile,
    first_line,
    plain_name,
    recognised,
    settled,
    with_columns_named,
)
from trainer.data.records import DataError, shown
from trainer.data.tags import as_tags, is_called_tags

SUFFIXES = {".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".item"} | PARQUET_SUFFIXES
RATINGS_STEMS = ("ratings", "rating", "interactions", "u.data")
MOVIES_STEMS = ("movies", "items", "books", "products", "catalogue", "catalog", "films", "u.item")
SHOWN_NAMES = 8


@dataclass(frozen=True)
class Files:
    """The files of one data set.  movies, tags: None where there are none.  left_alone: names of other tables there."""

    ratings: Sequence[DataFile]
    movies: DataFile | None
    tags: DataFile | None
    left_alone: Sequence[str]

    @property
    def all(self) -> list[DataFile]:
        """The files of ratings, then that of movies, then that of tags."""
        return [*self.ratings, *(file for file in (self.movies, self.tags) if file is not None)]


def find_files(folder: Path, columns: tuple[str, ...] | None) -> Files:
    """columns: those of ratings without a header.  Raises DataError if there are no ratings, or if it cannot be told
    which files hold them."""
    if not folder.is_dir():
        is_other = "no such folder" if not folder.exists() else "something else"
        got = "a file: name the folder that holds it" if folder.is_file() else is_other
        raise DataError(f"{folder}: expected a folder with ratings, got {got}")
    try:
        paths = [path for entry in sorted(folder.iterdir()) for path in _tables(entry)]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
    found, unknown = _recognised(paths)
    if columns is not None:
        ratings = [with_columns_named(path, columns) for path in _without_header(folder, found, unknown)]
    else:
        ratings = _choose_ratings([file for file in found if "user" in file.used], folder, unknown)
    listed = [file for file in found if "title" in file.used and "user" not in file.used]
    movies = _choose_movies(listed, ratings[0], folder, unknown)
    others = [file for file in found if file not in ratings and "movie" in file.used and is_called_tags(file.path)]
    tags = next((tags for tags in map(as_tags, others) if tags is not None), None)
    files = Files([settled(file) for file in ratings], settled(movies) if movies else None, tags, [])
    read = {file.path for file in files.all}
    return replace(files, left_alone=[str(path.relative_to(folder)) for path in paths if path not in read])


def ratings_file(path: Path, columns: tuple[str, ...] | None) -> DataFile:
    """A file given by itself.  Raises DataError unless it holds ratings."""
    if not path.is_file():
        raise DataError(f"{path}: expected a file of ratings, got {'no file' if path.exists() else 'no such file'}")
    if columns is not None:
        return settled(with_columns_named(path, columns))
    found = recognised(path)
    if found is None or "user" not in found.used:
        raise DataError(_not_ratings(path))
    return settled(found)


def movies_file(path: Path) -> DataFile:
    """A file given by itself.  Raises DataError unless it lists movies."""
    if not path.is_file():
        raise DataError(f"{path}: expected a file of movies, got {'no file' if path.exists() else 'no such file'}")
    found = recognised(path)
    if found is None or "title" not in found.used:
        raise DataError(_not_movies(path))
    return settled(found)


def _tables(entry: Path) -> list[Path]:
    """The entry if its name is one of a table's; its files where it is a folder of parts, such as ratings.parquet/.

    Raises DataError for what is called ratings or movies and is neither."""
    if entry.name.startswith((".", "_")):
        return []
    is_table = Path(plain_name(entry)).suffix in SUFFIXES
    is_named = _stem(entry) in (*RATINGS_STEMS, *MOVIES_STEMS)
    if entry.is_file():
        return [entry] if is_table else []
    inside = sorted(entry.iterdir()) if is_named and entry.is_dir() else []
    parts = [part for part in inside if part.is_file() and not part.name.startswith((".", "_"))]
    if is_table and is_named and not parts:
        raise DataError(f"{entry}: expected a file, or a folder of files, got something else")
    return parts


def _recognised(paths: Sequence[Path]) -> tuple[list[DataFile], dict[Path, str]]:
    """(tables of ratings or movies, other files and why each is none).  Raises DataError for a broken file that is
    called ratings or movies."""
    found: list[DataFile] = []
    unknown: dict[Path, str] = {}
    for path in paths:
        try:
            file = recognised(path)
        except DataError as error:
            if _stem(path) in (*RATINGS_STEMS, *MOVIES_STEMS):
                raise
            unknown[path] = str(error)
            continue
        if file is None:
            unknown[path] = _not_ratings(path)
        else:
            found.append(file)
    return found, unknown


def _stem(path: Path) -> str:
    name = plain_name(path)
    return name if name in WITHOUT_HEADER else name.split(".", maxsplit=1)[0]


def _is_called(path: Path, folder: Path, stem: str) -> bool:
    """Whether the file, or the folder of parts that it is in, has this name."""
    return stem in (_stem(path), _stem(path.parent) if path.parent != folder else "")


def _choose_ratings(found: list[DataFile], folder: Path, unknown: dict[Path, str]) -> list[DataFile]:
    """The table called ratings; else all that tell what was rated; else all that tell who saw what, such as logs."""
    for stem in RATINGS_STEMS:
        for path, why in unknown.items():
            if _is_called(path, folder, stem):
                raise DataError(why)
        named = [file for file in found if _is_called(file.path, folder, stem)]
        if named and named[0].path.parent != folder:
            return [file for file in named if file.path.parent == named[0].path.parent]
        if named:
            return named[:1]
    rated = [file for file in found if "rating" in file.used or "count" in file.used] or [
        file for file in found if not any(plain(column).startswith("tag") for column in file.columns)
    ]
    if not rated:
        raise DataError(_nothing_found(folder, unknown))
    odd = next((file for file in rated if set(file.used) != set(rated[0].used)), None)
    if odd is not None:
        raise DataError(
            f"{folder}: expected all ratings in files with the same columns, got {rated[0].path.name} with "
            f"{', '.join(rated[0].used)} and {odd.path.name} with {', '.join(odd.used)}: call the one to read ratings"
        )
    return rated


def _without_header(folder: Path, found: Sequence[DataFile], unknown: dict[Path, str]) -> list[Path]:
    """The files of ratings whose columns are named by flag: by their names, or the only one that is nothing else."""
    paths = [file.path for file in found if "user" in file.used] + list(unknown)
    for stem in RATINGS_STEMS:
        named = [path for path in paths if _is_called(path, folder, stem)]
        if named:
            return named if named[0].parent != folder else named[:1]
    chosen = [path for path in paths if "rating" in path.name.casefold()] or paths
    if not chosen:
        raise DataError(_nothing_found(folder, unknown))
    if len(chosen) > 1 and chosen is paths:
        names = ", ".join(path.name for path in chosen[:SHOWN_NAMES])
        raise DataError(f"{folder}: expected one file of ratings, got {names}: call the one to read ratings")
    return chosen


def _choose_movies(found: list[DataFile], ratings: DataFile, folder: Path, unknown: dict[Path, str]) -> DataFile | None:
    by_name = [file for stem in MOVIES_STEMS for file in found if _is_called(file.path, folder, stem)]
    misnamed = next((path for stem in MOVIES_STEMS for path in unknown if _is_called(path, folder, stem)), None)
    if not by_name and misnamed is not None:
        raise DataError(_not_movies(misnamed))
    if not by_name and len(found) > 1:
        names = ", ".join(file.path.name for file in found[:SHOWN_NAMES])
        raise DataError(f"{folder}: expected one list of movies, got {names}: call the one to read movies")
    chosen = next(iter(by_name or found), None)
    if chosen is None:
        return None
    return replace(chosen, used={**chosen.used, **columns_used(chosen.columns, MOVIE_NAMES, ratings.used["movie"])})


def _nothing_found(folder: Path, unknown: dict[Path, str]) -> str:
    for path, why in unknown.items():
        if "rating" in path.name.casefold() or len(unknown) == 1:
            return why
    entries = sorted(f"{entry.name}{'' if entry.is_file() else ' (no file)'}" for entry in folder.iterdir())
    names = ", ".join(entries[:SHOWN_NAMES]) + (", …" if len(entries) > SHOWN_NAMES else "")
    found = names or "an empty folder"
    return f"{folder}: expected ratings in a .csv, .tsv, .txt, .dat or .parquet file; found {found}"


def _not_ratings(path: Path) -> str:
    first = first_line(path) if Path(plain_name(path)).suffix not in PARQUET_SUFFIXES else "other columns"
    if not first:
        return f"{path}: expected a header and at least one rating; the file is empty"
    return (
        f"{path}:1: expected a header with a user and a movie, such as userId,movieId,rating,timestamp; got "
        f"{shown(first)} (where there is no header, --columns user,movie,rating,timestamp names the columns)"
    )


def _not_movies(path: Path) -> str:
    return f"{path}:1: expected a header with an id and a title, such as movieId,title,genres"
