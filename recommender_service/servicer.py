"""The RPCs: request in, checked; neighbours; response out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc
from recommender_service.errors import InvalidArgument, MovieWithoutEmbedding, NoActiveRelease, UnknownMovie
from recommender_service.ranking import most_popular, nearest
from recommender_service.release import Release
from recommender_service.watcher import Active, ReleaseWatcher

DEFAULT_LIMIT = 10
MAX_LIMIT = 500
MAX_EXCLUDED = 10_000

Context = grpc.aio.ServicerContext[Any, Any]


class RecommenderServicer(recommender_pb2_grpc.RecommenderServiceServicer):
    """recommender.v1.RecommenderService."""

    def __init__(self, watcher: ReleaseWatcher) -> None:
        self._watcher = watcher

    async def Recommend(self, request: api.RecommendRequest, context: Context) -> api.RecommendResponse:
        _check_id("user_id", request.user_id)
        limit = _limit(request.limit)
        _check_excluded(request.exclude_movie_ids)
        active = self._active()
        release = active.release
        excluded, ignored = _excluded(release, request.exclude_movie_ids)
        embedding = None
        if release.has_user(request.user_id):
            if not request.include_watched:
                excluded[release.watched(request.user_id)] = True
            embedding = await active.user_embeddings.get(request.user_id, context.time_remaining())
        if embedding is not None and embedding.any():
            search_k = release.manifest.index.recommend.search_k
            rows, scores = nearest(release, embedding, limit, excluded, search_k)
            source = api.SOURCE_PERSONALIZED
        else:  # unknown, or known but without a single like to learn from
            rows, scores = most_popular(release, limit, excluded)
            source = api.SOURCE_POPULAR
        return api.RecommendResponse(
            movies=_scored(release, rows, scores), source=source, release=release.version, ignored_movie_ids=ignored
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
