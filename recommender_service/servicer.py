"""The RPCs: request in, checked; neighbours; response out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc
from recommender_service.errors import (
    InvalidArgument,
    ModelServerUnavailable,
    MovieWithoutEmbedding,
    NoActiveRelease,
    UnknownMovie,
)
from recommender_service.metrics import ANSWERS
from recommender_service.ranking import most_popular, nearest
from recommender_service.release import Release
from recommender_service.watcher import Active, ReleaseWatcher

DEFAULT_LIMIT = 10
MAX_LIMIT = 500
MAX_EXCLUDED = 10_000

Context = grpc.aio.ServicerContext[Any, Any]


class RecommenderServicer(recommender_pb2_grpc.RecommenderServiceServicer):
    """recommender.v1.RecommenderService."""

    def __init__(self, watcher: ReleaseWatcher, degraded_answers: bool) -> None:
        self._watcher = watcher
        self._degraded_answers = degraded_answers

    async def Recommend(self, request: api.RecommendRequest, context: Context) -> api.RecommendResponse:
        _check_id("user_id", request.user_id)
        limit = _limit(request.limit)
        _check_excluded(request.exclude_movie_ids)
        active = self._active()
        release = active.release
        excluded, ignored = _excluded(release, request.exclude_movie_ids)
        watched, liked = release.watched(request.user_id)
        if not request.include_watched:
            excluded[watched] = True
        source, degraded_reason = api.SOURCE_POPULAR, ""
        if len(liked):  # else there is nothing to know this user's taste from
            try:
                embedding = await active.user_embeddings.get(request.user_id, context.time_remaining())
                source = api.SOURCE_PERSONALIZED
            except ModelServerUnavailable as error:
                if not self._degraded_answers:
                    raise
                embedding = release.mean_embedding(liked)
                source, degraded_reason = api.SOURCE_FOLDED_IN, str(error)
            search_k = release.manifest.index.recommend.search_k
            rows, scores = nearest(release, embedding, limit, excluded, search_k)
        else:
            rows, scores = most_popular(release, limit, excluded)
        ANSWERS.labels(api.Source.Name(source), str(bool(degraded_reason)).lower()).inc()
        return api.RecommendResponse(
            movies=_scored(release, rows, scores),
            source=source,
            release=release.version,
            ignored_movie_ids=ignored,
            degraded_reason=degraded_reason,
        )

    async def SimilarMovies(self, request: api.SimilarMoviesRequest, context: Context) -> api.SimilarMoviesResponse:
        _check_id("movie_id", request.movie_id)
        limit = _limit(request.limit)
        _check_excluded(request.exclude_movie_ids)
        release = self._active().release
        row = release.movie_rows.get(request.movie_id)
        if row is None:
            raise UnknownMovie(request.movie_id, release.version)
        if row >= len(release.embeddings):
            raise MovieWithoutEmbedding(request.movie_id, release.version)
        excluded, _ = _excluded(release, request.exclude_movie_ids)
        excluded[row] = True
        search_k = release.manifest.index.similar_movies.search_k
        rows, scores = nearest(release, release.embeddings[row], limit, excluded, search_k)
        return api.SimilarMoviesResponse(
            movie=release.movies[row], movies=_scored(release, rows, scores), release=release.version
        )

    async def GetServingStatus(
        self, request: api.GetServingStatusRequest, context: Context
    ) -> api.GetServingStatusResponse:
        return self._watcher.status()

    def _active(self) -> Active:
        active = self._watcher.active
        if active is None:
            raise NoActiveRelease(f"no release is active yet: waiting for {self._watcher.waiting_for}")
        return active


def _check_id(field: str, value: int) -> None:
    if value <= 0:
        raise InvalidArgument(field, f"expected a positive id, got {value}")


def _limit(limit: int) -> int:
    if not 0 <= limit <= MAX_LIMIT:
        raise InvalidArgument("limit", f"expected 1 to {MAX_LIMIT}, or 0 for {DEFAULT_LIMIT}; got {limit}")
    return limit or DEFAULT_LIMIT


def _check_excluded(movie_ids: Iterable[int]) -> None:
    count = len(list(movie_ids))
    if count > MAX_EXCLUDED:
        raise InvalidArgument("exclude_movie_ids", f"expected at most {MAX_EXCLUDED} ids, got {count}")


def _excluded(release: Release, movie_ids: Iterable[int]) -> tuple[np.ndarray, list[int]]:
    """(bool[num_movies], the ids that the release does not know, in order, each once)"""
    excluded = np.zeros(len(release.movies), np.bool_)
    unknown: dict[int, None] = {}
    for movie_id in movie_ids:
        row = release.movie_rows.get(movie_id)
        if row is None:
            unknown[movie_id] = None
        else:
            excluded[row] = True
    return excluded, list(unknown)


def _scored(release: Release, rows: np.ndarray, scores: np.ndarray) -> list[api.ScoredMovie]:
    movies = release.movies
    return [
        api.ScoredMovie(movie=movies[row], score=score)
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
    ]
