"""Checks the fields that several requests share, and looks up in a release what they name."""

from __future__ import annotations

from collections.abc import Iterable, Sized

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.errors import InvalidArgument
from recommender_service.release import Release

DEFAULT_LIMIT = 10
MAX_LIMIT = 500
MAX_EXCLUDED = 10_000
MAX_LIKED = 1_000


def check_id(field: str, value: int) -> None:
    """Check that an id is positive. Raises InvalidArgument."""
    if value <= 0:
        raise InvalidArgument(field, f"expected a positive id, got {value}")


def check_count(field: str, values: Sized, most: int) -> None:
    """Check that a list holds at most `most` ids. Raises InvalidArgument."""
    if len(values) > most:
        raise InvalidArgument(field, f"expected at most {most} ids, got {len(values)}")


def check_limit(limit: int) -> int:
    """Check `limit` and return it, or DEFAULT_LIMIT if it is 0. Raises InvalidArgument."""
    if not 0 <= limit <= MAX_LIMIT:
        raise InvalidArgument("limit", f"expected 1 to {MAX_LIMIT}, or 0 for {DEFAULT_LIMIT}; got {limit}")
    return limit or DEFAULT_LIMIT


def excluded_mask(release: Release, movie_ids: Iterable[int]) -> tuple[np.ndarray, list[int]]:
    """Return (bool[num_movies], true for the movies to leave out; the ids that the release does not know).

    Unknown ids are in the order given, each once. Raises InvalidArgument if there are too many ids.
    """
    movie_ids = list(movie_ids)
    check_count("exclude_movie_ids", movie_ids, MAX_EXCLUDED)
    excluded = np.zeros(len(release.movies), np.bool_)
    unknown: dict[int, None] = {}
    for movie_id in movie_ids:
        row = release.movie_rows.get(movie_id)
        if row is None:
            unknown[movie_id] = None
        else:
            excluded[row] = True
    return excluded, list(unknown)


def qualifying_mask(release: Release, movie_filter: api.MovieFilter) -> np.ndarray | None:
    """bool[num_movies], true for the movies that pass the filter; None if it sets no condition.

    Raises InvalidArgument for a wrong year and for a genre that the release does not have.
    """
    for field in ("min_year", "max_year"):
        year = getattr(movie_filter, field)
        if year < 0:
            raise InvalidArgument(f"filter.{field}", f"expected a year, or 0 for any; got {year}")
    if movie_filter.max_year and movie_filter.min_year > movie_filter.max_year:
        problem = f"expected at least min_year, {movie_filter.min_year}, or 0 for any; got {movie_filter.max_year}"
        raise InvalidArgument("filter.max_year", problem)
    if movie_filter == api.MovieFilter():
        return None
    qualifying = np.ones(len(release.movies), np.bool_)
    if movie_filter.genres:
        qualifying &= _has_any_genre(release, "filter.genres", movie_filter.genres)
    if movie_filter.exclude_genres:
        qualifying &= ~_has_any_genre(release, "filter.exclude_genres", movie_filter.exclude_genres)
    if movie_filter.min_year or movie_filter.max_year:
        qualifying &= (release.years > 0) & (release.years >= movie_filter.min_year)
    if movie_filter.max_year:
        qualifying &= release.years <= movie_filter.max_year
    return qualifying


def _has_any_genre(release: Release, field: str, names: Iterable[str]) -> np.ndarray:
    """bool[num_movies], true for the movies of at least one of these genres. Raises InvalidArgument."""
    masks = {name.casefold(): mask for name, mask in release.genres.items()}
    has_any = np.zeros(len(release.movies), np.bool_)
    for name in names:
        mask = masks.get(name.casefold())
        if mask is None:
            raise InvalidArgument(field, f"expected some of {', '.join(release.genres)}; got {name[:40]!r}")
        has_any |= mask
    return has_any
