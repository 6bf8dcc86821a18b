"""One recommendation: a request is resolved against a release, and answered once the user's embedding is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.checks import (
    MAX_LIKED,
    check_count,
    check_id,
    check_limit,
    excluded_mask,
    qualifying_mask,
)
from recommender_service.errors import InvalidArgument, ServiceError
from recommender_service.metrics import ANSWERS
from recommender_service.ranking import most_popular, nearest, reasons
from recommender_service.release import Release
from recommender_service.user_embeddings.source import fold_in_key


@dataclass(frozen=True)
class ResolvedRequest:
    """A checked request, its ids replaced by rows of a release.

    excluded: bool[num_movies], movies that must not be in the answer.
    qualifying: bool[num_movies], movies that pass the filter; None if there is no filter.
    ignored_movie_ids: ids that have no effect, for the answer.
    liked_rows: int, ascending, of trained movies: what is known of the user's taste.
    user_id: the user whose trained embedding is needed; None if a fold-in, or nothing, is needed.
    fold_in_key: the key of the fold-in that is needed; empty if none is.
    """

    limit: int
    excluded: np.ndarray
    qualifying: np.ndarray | None
    ignored_movie_ids: list[int]
    liked_rows: np.ndarray
    user_id: int | None
    fold_in_key: bytes
    explain: bool


def resolve(release: Release, request: api.RecommendRequest) -> ResolvedRequest:
    """Check a request and look up its ids in the release. Raises InvalidArgument."""
    if not request.liked_movie_ids:
        check_id("user_id", request.user_id)
    elif request.user_id < 0:
        raise InvalidArgument("user_id", f"expected a positive id, or 0 for an unknown user; got {request.user_id}")
    limit = check_limit(request.limit)
    check_count("liked_movie_ids", request.liked_movie_ids, MAX_LIKED)
    qualifying = qualifying_mask(release, request.filter) if request.HasField("filter") else None
    excluded, ignored = excluded_mask(release, request.exclude_movie_ids)
    watched_rows, liked_rows = release.watched.of(request.user_id)
    if not request.include_watched:
        excluded[watched_rows] = True
    user_id, key = (request.user_id if len(liked_rows) else None), b""
    if request.liked_movie_ids:
        named_rows, without_embedding = _trained_rows(release, request.liked_movie_ids)
        excluded[named_rows] = True
        if named_rows:
            liked_rows = np.union1d(liked_rows, named_rows)
            user_id, key = None, fold_in_key(release.movie_ids[liked_rows])
        ignored = list(dict.fromkeys([*without_embedding, *ignored]))
    return ResolvedRequest(limit, excluded, qualifying, ignored, liked_rows, user_id, key, request.explain)


def answer(
    release: Release, request: ResolvedRequest, embedding: np.ndarray | ServiceError | None, degraded_answers: bool
) -> api.RecommendResponse:
    """Answer a request.

    embedding: float32[embedding_dim]; the error that came in its place; or None if the request needs none.
    Raises that error, unless it allows a degraded answer and `degraded_answers` is true.
    """
    source, degraded_reason = api.SOURCE_POPULAR, ""
    if isinstance(embedding, ServiceError):
        if not (degraded_answers and embedding.allows_degraded_answer):
            raise embedding
        degraded_reason = str(embedding)
        embedding = release.mean_embedding(request.liked_rows)
        source = api.SOURCE_FOLDED_IN
    elif embedding is not None:
        source = api.SOURCE_FOLDED_IN if request.fold_in_key else api.SOURCE_PERSONALIZED
    if embedding is None:
        rows, scores = most_popular(release, request.limit, request.excluded, request.qualifying)
    else:
        rows, scores = nearest(release.movie_embeddings, embedding, request.limit, request.excluded, request.qualifying)
    movies = scored_movies(release, rows, scores)
    if request.explain and len(request.liked_rows) and movies:
        _add_reasons(release, movies, rows, request.liked_rows)
    ANSWERS.labels(api.Source.Name(source), str(bool(degraded_reason)).lower()).inc()
    return api.RecommendResponse(
        movies=movies,
        source=source,
        release=release.version,
        ignored_movie_ids=request.ignored_movie_ids,
        degraded_reason=degraded_reason,
    )


def scored_movies(release: Release, rows: np.ndarray, scores: np.ndarray) -> list[api.ScoredMovie]:
    """The movies of these rows with their scores, in the same order."""
    movies = release.movies
    return [
        api.ScoredMovie(movie=movies[row], score=score)
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
    ]


def _trained_rows(release: Release, movie_ids: Iterable[int]) -> tuple[list[int], list[int]]:
    """Return (rows of the movies that have an embedding, the ids of the others), both in the order of `movie_ids`."""
    rows, others = [], []
    for movie_id in movie_ids:
        row = release.movie_rows.get(movie_id)
        if row is None or row >= release.num_trained_movies:
            others.append(movie_id)
        else:
            rows.append(row)
    return rows, others


def _add_reasons(release: Release, movies: list[api.ScoredMovie], rows: np.ndarray, liked_rows: np.ndarray) -> None:
    for movie, its_reasons in zip(movies, reasons(release, rows, liked_rows), strict=True):
        for row, cosine in its_reasons:
            movie.reasons.add(because=release.movies[row], similarity=cosine)
