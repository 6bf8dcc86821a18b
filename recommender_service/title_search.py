"""SearchMovies: by title, and by the key of a movie."""

from __future__ import annotations

import asyncio

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.checks import check_limit
from recommender_service.errors import FIELD_MISSING, InvalidArgument
from recommender_service.page_tokens import Cursor, token_of
from recommender_service.release import Release
from recommender_service.title_words import words_of

MAX_QUERY = 200  # characters


async def search_movies(release: Release, request: api.SearchMoviesRequest, after: Cursor | None) -> bytes:
    """Answer a request: an encoded SearchMoviesResponse. Raises InvalidArgument.

    after: where the page before ended; None for the first page, or if the request asks for no pages.
    """
    if len(request.query) > MAX_QUERY:
        raise InvalidArgument("query", f"expected at most {MAX_QUERY} characters, got {len(request.query)}")
    if not words_of(request.query):
        raise InvalidArgument("query", f"expected words of a title, got {request.query[:40]!r}", FIELD_MISSING)
    limit, is_paged = check_limit(request.limit), request.HasField("page_token")
    rows = await _matches(release, request.query, len(release.movies) if is_paged else limit)
    if after is not None:
        rows = rows[rows.index(after.row) + 1 :] if after.row in rows else []
    token = ""
    if is_paged and len(rows) > limit:
        token = token_of(request, Cursor(release.version, 0, False, rows[limit - 1], 0.0))
    movies = [release.movies[row] for row in rows[:limit]]
    return api.SearchMoviesResponse(movies=movies, release=release.version, next_page_token=token).SerializeToString()


async def _matches(release: Release, query: str, limit: int) -> list[int]:
    """The rows of at most `limit` movies, best match first; the one whose key is the query comes before all others."""
    if release.titles.takes_long(query):
        rows = await asyncio.to_thread(release.titles.search, query, limit)
    else:
        rows = release.titles.search(query, limit)
    by_key = (release.rows_by_key or {}).get(query)
    if by_key is not None:
        rows = [by_key, *(row for row in rows if row != by_key)][:limit]
    return rows
