"""Fields that several requests share: their bounds, and what they mean for a release."""

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
    """Raises InvalidArgument."""
    if value <= 0:
        raise InvalidArgument(field, f"expected a positive id, got {value}")


def check_count(field: str, values: Sized, most: int) -> None:
    """Raises InvalidArgument."""
    if len(values) > most:
        raise InvalidArgument(field, f"expected at most {most} ids, got {len(values)}")


def limit_of(limit: int) -> int:
    """The length of the list that is asked for.  Raises InvalidArgument."""
    if not 0 <= limit <= MAX_LIMIT:
        raise InvalidArgument("limit", f"expected 1 to {MAX_LIMIT}, or 0 for {DEFAULT_LIMIT}; got {limit}")
    return limit or DEFAULT_LIMIT


def excluded_rows(release: Release, movie_ids: Iterable[int]) -> tuple[np.ndarray, list[int]]:
    """(bool[num_movies], the ids that the release does not know, in order, each once).  Raises InvalidArgument."""
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


def qualifying_rows(release: Release, wanted: api.MovieFilter) -> np.ndarray | None:
    """bool[num_movies]; None if the filter sets no condition.  Raises InvalidArgument."""
    for field in ("min_year", "max_year"):
        if getattr(wanted, field) < 0:
            raise InvalidArgument(f"filter.{field}", f"expected a year, or 0 for any; got {getattr(wanted, field)}")
    if wanted.max_year and wanted.min_year > wanted.max_year:
        problem = f"expected at least min_year, {wanted.min_year}, or 0 for any; got {wanted.max_year}"
        raise InvalidArgument("filter.max_year", problem)
    if wanted == api.MovieFilter():
        return None
    qualifying = np.ones(len(release.movies), np.bool_)
    if wanted.genres:
        qualifying &= _of_any(release, "filter.genres", wanted.genres)
    if wanted.exclude_genres:
        qualifying &= ~_of_any(release, "filter.exclude_genres", wanted.exclude_genres)
    if wanted.min_year or wanted.max_year:
        qualifying &= (release.years > 0) & (release.years >= wanted.min_year)
    if wanted.max_year:
        qualifying &= release.years <= wanted.max_year
    return qualifying


def _of_any(release: Release, field: str, names: Iterable[str]) -> np.ndarray:
    """bool[num_movies]"""
    known = {name.casefold(): movies for name, movies in release.genres.items()}
    found = np.zeros(len(release.movies), np.bool_)
    for name in names:
        movies = known.get(name.casefold())
        if movies is None:
            raise InvalidArgument(field, f"expected some of {', '.join(release.genres)}; got {name!r}")
        found |= movies
    return found
