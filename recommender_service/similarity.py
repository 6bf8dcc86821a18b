"""SimilarMovies: from the lists that the trainer made, or by a search where these do not suffice."""

from __future__ import annotations

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1.search import nearest
from recommender_service.checks import check_id, check_key, check_limit, excluded_rows, qualifying_mask
from recommender_service.errors import FIELD_MISSING, FIELDS_EXCLUDE_EACH_OTHER, InvalidArgument, UnknownMovie
from recommender_service.page_tokens import Cursor, token_of
from recommender_service.pages import nearest_page, popular_page
from recommender_service.ranking import most_popular
from recommender_service.release import Release

MOVIES = api.SimilarMoviesResponse.MOVIES_FIELD_NUMBER


def similar_movies(release: Release, request: api.SimilarMoviesRequest) -> bytes:
    """Answer a request: an encoded SimilarMoviesResponse. Raises InvalidArgument and UnknownMovie."""
    row, limit, excluded, qualifying = resolved(release, request)
    found = from_list(release, row, limit, excluded, qualifying)
    rows, scores = found if found is not None else _by_search(release, row, limit, excluded, qualifying)
    return encoded(release, row, rows, scores, "")


async def similar_page(release: Release, request: api.SimilarMoviesRequest, after: Cursor | None) -> bytes:
    """Answer a request for a page: an encoded SimilarMoviesResponse. Raises InvalidArgument and UnknownMovie.

    after: where the page before ended; None for the first page.
    """
    row, limit, excluded, qualifying = resolved(release, request)
    excluded, vector = np.append(excluded, np.int32(row)), release.similarity_vectors[row]
    if vector.any():
        vectors = release.similarity.vectors
        rows, scores, more = await nearest_page(vectors, vector, limit, excluded, qualifying, after)
    else:
        rows, _, more = popular_page(release, limit, excluded, qualifying, after)
        scores = [0.0] * len(rows)
    return encoded(release, row, rows, scores, next_token(release, request, rows, scores) if more else "")


def next_token(release: Release, request: api.SimilarMoviesRequest, rows: list[int], scores: list[float]) -> str:
    """What asks for the page after this one."""
    return token_of(request, Cursor(release.version, 0, False, rows[-1], scores[-1]))


def encoded(release: Release, row: int, rows: list[int], scores: list[float], next_page_token: str) -> bytes:
    """An encoded SimilarMoviesResponse."""
    is_trained = row < release.num_trained_movies
    rest = api.SimilarMoviesResponse(
        movie=release.movies[row],
        release=release.version,
        source=api.SIMILARITY_SOURCE_EMBEDDINGS if is_trained else api.SIMILARITY_SOURCE_GENRES_AND_YEAR,
        next_page_token=next_page_token,
    )
    return release.movie_bytes.fields(MOVIES, rows, scores) + rest.SerializeToString()


def resolved(release: Release, request: api.SimilarMoviesRequest) -> tuple[int, int, np.ndarray, np.ndarray | None]:
    """Return (row of the movie, limit, excluded rows, mask of the movies that qualify or None without a filter).

    Raises InvalidArgument and UnknownMovie.
    """
    row, limit = _row(release, request), check_limit(request.limit)
    qualifying = qualifying_mask(release, request.filter) if request.HasField("filter") else None
    excluded, _, _ = excluded_rows(release, request.exclude_movie_ids, request.exclude_movie_keys)
    return row, limit, excluded, qualifying


def _row(release: Release, request: api.SimilarMoviesRequest) -> int:
    """The row of the movie that the request names. Raises InvalidArgument and UnknownMovie."""
    if request.movie_key:
        if request.HasField("movie_id"):
            raise InvalidArgument("movie_key", "expected movie_id or movie_key, got both", FIELDS_EXCLUDE_EACH_OTHER)
        check_key("movie_key", request.movie_key, release.rows_by_key is not None, "movie_id")
        row = (release.rows_by_key or {}).get(request.movie_key)
    elif request.HasField("movie_id"):
        check_id("movie_id", request.movie_id)
        row = release.movie_rows.get(request.movie_id)
    else:
        raise InvalidArgument("movie_id", "expected an id, or a movie_key; got none", FIELD_MISSING)
    if row is None:
        raise UnknownMovie(request.movie_key or request.movie_id, release.version)
    return row


def from_list(
    release: Release, row: int, limit: int, excluded: np.ndarray, qualifying: np.ndarray | None
) -> tuple[list[int], list[float]] | None:
    """Return (rows, cosines) from the movie's list, or None if fewer than `limit` movies of it may be in the answer."""
    if release.similar_lists is None:
        return None
    rows, cosines = release.similar_lists.rows[row], release.similar_lists.cosines[row]
    if not len(excluded) and qualifying is None:
        first_rows = rows[:limit].tolist()
        is_whole = len(first_rows) == limit and first_rows[-1] >= 0
        return (first_rows, cosines[:limit].tolist()) if is_whole else None
    kept = (rows >= 0) & ~np.isin(rows, excluded)
    if qualifying is not None:
        kept &= qualifying[rows]
    at = np.flatnonzero(kept)[:limit]
    return (rows[at].tolist(), cosines[at].tolist()) if len(at) == limit else None


def _by_search(
    release: Release, row: int, limit: int, excluded: np.ndarray, qualifying: np.ndarray | None
) -> tuple[list[int], list[float]]:
    """Return (rows, cosines) of the movies nearest to the movie's vector, itself not among them."""
    excluded = np.append(excluded, np.int32(row))
    vector = release.similarity_vectors[row]
    if vector.any():
        return nearest(release.similarity, release.similarity_effort, vector, limit, excluded, qualifying)
    # Nobody liked it, and it has neither genres nor a year: popular movies stand in for similar ones.
    rows, _ = most_popular(release, limit, excluded, qualifying)
    return rows, [0.0] * len(rows)
