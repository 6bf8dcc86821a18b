"""SearchMovies: by title, and by the key of a movie."""

from __future__ import annotations

import asyncio

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.checks import check_limit
from recommender_service.errors import InvalidArgument
from recommender_service.release import Release
from recommender_service.title_index import words_of

MAX_QUERY = 200  # characters


async def search_movies(release: Release, request: api.SearchMoviesRequest) -> bytes:
    """Answer a request: an encoded SearchMoviesResponse. Raises InvalidArgument."""
    if len(request.query) > MAX_QUERY:
        raise InvalidArgument("query", f"expected at most {MAX_QUERY} characters, got {len(request.query)}")
    if not words_of(request.query):
        raise InvalidArgument("query", f"expected words of a title, got {request.query[:40]!r}")
    limit = check_limit(request.limit)
    if release.titles.takes_long(request.query):
        rows = await asyncio.to_thread(release.titles.search, request.query, limit)
    else:
        rows = release.titles.search(request.query, limit)
    by_key = (release.rows_by_key or {}).get(request.query)
    if by_key is not None:
        rows = [by_key, *(row for row in rows if row != by_key)][:limit]
    movies = [release.movies[row] for row in rows]
    return api.SearchMoviesResponse(movies=movies, release=release.version).SerializeToString()
