"""Checks the fields that several requests share, and looks up in a release what they name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1.layout import MAX_KEY_BYTES
from recommender_service.errors import ANSWER_TOO_LARGE, IDS_ARE_NUMBERS, UNKNOWN_GENRE, InvalidArgument
from recommender_service.release import Release

DEFAULT_LIMIT = 10
MAX_LIMIT = 500
MAX_EXCLUDED = 10_000
MAX_LIKED = 1_000
MAX_GENRES = 100
MAX_GENRES_NAMED = 20  # in an error message
MAX_ANSWER_BYTES = 4_000_000  # by default, clients take 4 MiB

NO_ROWS = np.empty(0, np.int32)


def check_id(field: str, value: int) -> None:
    """Check that an id is 0 or more. Raises InvalidArgument."""
    if value < 0:
        raise InvalidArgument(field, f"expected an id of 0 or more, got {value}")


def check_key(field: str, key: str, has_keys: bool, id_field: str) -> None:
    """Check that the release has keys, and that this one is no longer than a key can be. Raises InvalidArgument.

    has_keys: whether the release knows such things by key.  id_field: the field to set if it does not.
    """
    if not has_keys:
        problem = f"expected {id_field}, because the ids of the active release are numbers; got {key[:40]!r}"
        raise InvalidArgument(field, problem, IDS_ARE_NUMBERS)
    if len(key.encode("utf-8")) > MAX_KEY_BYTES:
        raise InvalidArgument(field, f"expected at most {MAX_KEY_BYTES} bytes, got {len(key.encode('utf-8'))}")


def check_count(field: str, most: int, *lists: Sized) -> None:
    """Check that a list of ids and one of keys have at most `most` entries together. Raises InvalidArgument."""
    count = sum(map(len, lists))
    if count > most:
        raise InvalidArgument(field, f"expected at most {most} ids and keys, got {count}")


def check_limit(limit: int) -> int:
    """Check `limit` and return it, or DEFAULT_LIMIT if it is 0. Raises InvalidArgument."""
    if not 0 <= limit <= MAX_LIMIT:
        raise InvalidArgument("limit", f"expected 1 to {MAX_LIMIT}, or 0 for {DEFAULT_LIMIT}; got {limit}")
    return limit or DEFAULT_LIMIT


def check_answer_size(field: str, num_bytes: int) -> None:
    """Check that clients will take an answer of that size. Raises InvalidArgument.  field: what to lower."""
    if num_bytes > MAX_ANSWER_BYTES:
        problem = f"expected an answer of at most {MAX_ANSWER_BYTES:,} bytes: ask for fewer movies, or without explain"
        raise InvalidArgument(field, problem, ANSWER_TOO_LARGE)


def rows_of_movies(
    release: Release, movie_ids: Iterable[int], movie_keys: Iterable[str], num_rows: int
) -> tuple[list[int], list[int], list[str]]:
    """Return (rows of the movies whose row is below `num_rows`; ids of the others; keys of the others), in their order.

    A movie that the release does not know is among the others. Each of these is returned once.
    """
    rows: list[int] = []
    ignored_ids: dict[int, None] = {}
    ignored_keys: dict[str, None] = {}
    for movie_id in movie_ids:
        row = release.movie_rows.get(movie_id, num_rows)
        if row < num_rows:
            rows.append(row)
        else:
            ignored_ids[movie_id] = None
    rows_by_key = release.rows_by_key or {}
    for key in movie_keys:
        row = rows_by_key.get(key, num_rows)
        if row < num_rows:
            rows.append(row)
        else:
            ignored_keys[key] = None
    return rows, list(ignored_ids), list(ignored_keys)


def excluded_rows(
    release: Release, movie_ids: Sequence[int], movie_keys: Sequence[str]
) -> tuple[np.ndarray, list[int], list[str]]:
    """Return (int32 rows of the movies to leave out; ids and keys that the release does not know, each once).

    Raises InvalidArgument if there are too many.
    """
    check_count("exclude_movie_ids", MAX_EXCLUDED, movie_ids, movie_keys)
    rows, unknown_ids, unknown_keys = rows_of_movies(release, movie_ids, movie_keys, len(release.movies))
    return np.array(rows, np.int32), unknown_ids, unknown_keys


def qualifying_mask(release: Release, movie_filter: api.MovieFilter) -> np.ndarray | None:
    """bool[num_movies], true for the movies that pass the filter; None if it sets no condition.

    Raises InvalidArgument for a wrong year, for too many genres, and for a genre that the release does not have.
    """
    for field in ("min_year", "max_year"):
        year = getattr(movie_filter, field)
        if year < 0:
            raise InvalidArgument(f"filter.{field}", f"expected a year, or 0 for any; got {year}")
    if movie_filter.max_year and movie_filter.min_year > movie_filter.max_year:
        problem = f"expected at least min_year, {movie_filter.min_year}, or 0 for any; got {movie_filter.max_year}"
        raise InvalidArgument("filter.max_year", problem)
    masks = []
    if movie_filter.genres:
        masks.append(_has_any_genre(release, "filter.genres", movie_filter.genres))
    if movie_filter.exclude_genres:
        masks.append(~_has_any_genre(release, "filter.exclude_genres", movie_filter.exclude_genres))
    if movie_filter.min_year or movie_filter.max_year:
        masks.append(release.years >= max(movie_filter.min_year, 1))
    if movie_filter.max_year:
        masks.append(release.years <= movie_filter.max_year)
    if not masks:
        return None
    qualifying: np.ndarray = np.logical_and.reduce(masks) if len(masks) > 1 else masks[0]
    return qualifying


def _has_any_genre(release: Release, field: str, names: Sequence[str]) -> np.ndarray:
    """bool[num_movies], true for the movies of at least one of these genres. Raises InvalidArgument."""
    if len(names) > MAX_GENRES:
        raise InvalidArgument(field, f"expected at most {MAX_GENRES} genres, got {len(names)}")
    masks = []
    for name in names:
        mask = release.genres_by_casefold.get(name.casefold())
        if mask is None:
            problem = f"expected some of {_some_genres(release)}; got {name[:40]!r}"
            raise InvalidArgument(field, problem, UNKNOWN_GENRE)
        masks.append(mask)
    has_any: np.ndarray = np.logical_or.reduce(masks) if len(masks) > 1 else masks[0]
    return has_any


def _some_genres(release: Release) -> str:
    """The names of the release's genres, or of the first of them if there are many."""
    names = [name[:40] for name in release.genres]
    more = f" and {len(names) - MAX_GENRES_NAMED} more" if len(names) > MAX_GENRES_NAMED else ""
    return ", ".join(names[:MAX_GENRES_NAMED]) + more
