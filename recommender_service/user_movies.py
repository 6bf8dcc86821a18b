"""ListUserMovies: what a user has liked, watched and hidden."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.answers import Vectors
from recommender_service.checks import NO_ROWS
from recommender_service.errors import FIELD_MISSING, InvalidArgument
from recommender_service.hidden_movies import number_of_user
from recommender_service.page_tokens import NO_EMBEDDING, Cursor, checked_embedding, token_of
from recommender_service.pages import LONG_SCAN, exact_scores, page_of
from recommender_service.release import Release, mean_direction
from recommender_service.resolved_request import ResolvedRequest, liked_rows_of, resolve

if TYPE_CHECKING:  # it is not imported while events are off
    from recommender_service.feedback.feedback import Feedback

WATCHED_ONLY, HIDDEN_ONLY = -10.0, -20.0  # are added to cosines, so that these movies follow all liked ones
WITHOUT_EMBEDDING = -2.0  # is below every cosine


class UserMovies(NamedTuple):
    """What is known of a user: int32 rows of a release's movies.  liked: trained movies, all of them watched."""

    liked: np.ndarray
    watched: np.ndarray
    hidden: np.ndarray


async def list_user_movies(
    release: Release,
    request: api.ListUserMoviesRequest,
    feedback: Feedback | None,
    after: Cursor | None,
    vectors_of: Vectors,
) -> bytes:
    """Answer a request: an encoded ListUserMoviesResponse. Raises InvalidArgument and what `vectors_of` raises.

    feedback: what users did since; None if events are off.
    after: where the page before ended; None for the first page, or if the request asks for no pages.
    """
    user = _user_of(request)
    resolved = resolve(release, user, feedback)
    known = _movies_of(release, user, resolved)
    rows = np.union1d(known.watched, known.hidden).astype(np.int32)
    manifest = release.manifest
    embedded = rows < manifest.num_trained_movies + manifest.num_content_movies
    vectors = await vectors_of(rows[embedded])
    if after is not None:
        taste = checked_embedding(after, manifest.embedding_dim)
    else:
        taste = mean_direction(vectors[np.isin(rows[embedded], known.liked)]) if len(known.liked) else None
    if vectors.size > LONG_SCAN:
        places = await asyncio.to_thread(_places, vectors, embedded, known, rows, taste)
    else:
        places = _places(vectors, embedded, known, rows, taste)
    listed, scores, more = page_of(rows, places, resolved.limit, after)
    token = ""
    if request.HasField("page_token") and more:
        source, ranked_by = (api.SOURCE_FOLDED_IN, taste) if taste is not None else (api.SOURCE_POPULAR, NO_EMBEDDING)
        token = token_of(request, Cursor(release.version, source, False, listed[-1], scores[-1], ranked_by))
    return _encoded(release, resolved, known, listed, token)


def _user_of(request: api.ListUserMoviesRequest) -> api.RecommendRequest:
    """A request for recommendations of the same user, so that both are checked and looked up alike."""
    if not request.HasField("user_id") and not request.user_key:
        raise InvalidArgument("user_id", "expected an id, or a user_key; got none", FIELD_MISSING)
    user_id = request.user_id if request.HasField("user_id") else None
    return api.RecommendRequest(user_id=user_id, user_key=request.user_key, limit=request.limit)


def _movies_of(release: Release, request: api.RecommendRequest, resolved: ResolvedRequest) -> UserMovies:
    """What the release and newer events know of the user.  resolved: the request, resolved against the release."""
    liked = liked_rows_of(release, resolved)
    if resolved.history is not None:
        return UserMovies(liked, resolved.history.watched_rows, resolved.history.hidden_rows)
    watched = release.watched.rows_of(resolved.user) if resolved.user >= 0 else NO_ROWS
    return UserMovies(liked, watched, release.hidden.rows_of(number_of_user(release, request)))


def _places(
    vectors: np.ndarray, embedded: np.ndarray, known: UserMovies, rows: np.ndarray, taste: np.ndarray | None
) -> np.ndarray:
    """float64[num_rows], by which the movies of these rows are sorted, descending.

    vectors: float32[n, embedding_dim], of the rows for which `embedded`, bool[num_rows], is true.
    taste: float32[embedding_dim], what liked movies have in common; None if nothing is liked.
    """
    places = np.where(embedded, 0.0, WITHOUT_EMBEDDING)
    if taste is not None:
        places[embedded] = exact_scores(vectors, taste)
    others = np.where(np.isin(rows, known.watched), WATCHED_ONLY, HIDDEN_ONLY)
    return places + np.where(np.isin(rows, known.liked), 0.0, others)


def _encoded(
    release: Release, resolved: ResolvedRequest, known: UserMovies, rows: list[int], next_page_token: str
) -> bytes:
    what_they_did = zip(rows, *(np.isin(rows, kind).tolist() for kind in known), strict=True)
    return api.ListUserMoviesResponse(
        movies=[
            api.UserMovie(movie=release.movies[row], liked=liked, watched=watched, hidden=hidden)
            for row, liked, watched, hidden in what_they_did
        ],
        num_liked=len(known.liked),
        num_watched=len(known.watched),
        num_hidden=len(known.hidden),
        release=release.version,
        degraded_reason=resolved.degraded_reason,
        next_page_token=next_page_token,
    ).SerializeToString()
