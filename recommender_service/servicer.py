"""The RPCs of recommender.v1.RecommenderService: each checks its request, ranks movies and builds the response."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc
import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc
from recommender_service.checks import check_id, check_limit, excluded_mask, qualifying_mask
from recommender_service.errors import InvalidArgument, NoActiveRelease, ServiceError, UnknownMovie
from recommender_service.ranking import most_popular, nearest
from recommender_service.recommendation import ResolvedRequest, answer, resolve, scored_movies
from recommender_service.title_index import words_of
from recommender_service.user_embeddings.source import UserEmbeddings
from recommender_service.watcher import ActiveRelease, ReleaseWatcher

MAX_BATCH = 100
MAX_BATCH_MOVIES = 10_000  # with reasons they take 3 MB of the 4 MB that clients accept by default
MAX_QUERY = 200  # characters

Context = grpc.aio.ServicerContext[Any, Any]


class RecommenderServicer(recommender_pb2_grpc.RecommenderServiceServicer):
    """recommender.v1.RecommenderService."""

    def __init__(self, watcher: ReleaseWatcher, degraded_answers: bool) -> None:
        self._watcher = watcher
        self._degraded_answers = degraded_answers

    async def Recommend(self, request: api.RecommendRequest, context: Context) -> api.RecommendResponse:
        active = self._active()
        resolved = resolve(active.release, request)
        (embedding,) = await _embeddings(active.user_embeddings, [resolved], context.time_remaining())
        return answer(active.release, resolved, embedding, self._degraded_answers)

    async def BatchRecommend(self, request: api.BatchRecommendRequest, context: Context) -> api.BatchRecommendResponse:
        _check_batch(request.requests)
        active = self._active()
        entries: list[ResolvedRequest | ServiceError] = []
        for single in request.requests:
            try:
                entries.append(resolve(active.release, single))
            except ServiceError as error:
                entries.append(error)
        valid = [entry for entry in entries if isinstance(entry, ResolvedRequest)]
        embeddings = iter(await _embeddings(active.user_embeddings, valid, context.time_remaining()))
        response = api.BatchRecommendResponse()
        for entry in entries:
            try:
                if isinstance(entry, ServiceError):
                    raise entry
                answered = answer(active.release, entry, next(embeddings), self._degraded_answers)
                response.results.add(response=answered)
            except ServiceError as error:
                response.results.add(error=error.status())
            await asyncio.sleep(0)  # a long batch must not keep other calls waiting
        return response

    async def SimilarMovies(self, request: api.SimilarMoviesRequest, context: Context) -> api.SimilarMoviesResponse:
        check_id("movie_id", request.movie_id)
        limit = check_limit(request.limit)
        release = self._active().release
        qualifying = qualifying_mask(release, request.filter) if request.HasField("filter") else None
        excluded, _ = excluded_mask(release, request.exclude_movie_ids)
        row = release.movie_rows.get(request.movie_id)
        if row is None:
            raise UnknownMovie(request.movie_id, release.version)
        excluded[row] = True
        source = api.SIMILARITY_SOURCE_EMBEDDINGS
        if row >= release.num_trained_movies:
            source = api.SIMILARITY_SOURCE_GENRES_AND_YEAR
        vector = release.similarity_vectors[row]
        if vector.any():
            rows, scores = nearest(release.similarity, vector, limit, excluded, qualifying)
        else:  # nobody liked it, and it has neither genres nor a year: popular movies stand in for similar ones
            rows, _ = most_popular(release, limit, excluded, qualifying)
            scores = np.zeros(len(rows), np.float32)
        movies = scored_movies(release, rows, scores)
        return api.SimilarMoviesResponse(
            movie=release.movies[row], movies=movies, release=release.version, source=source
        )

    async def SearchMovies(self, request: api.SearchMoviesRequest, context: Context) -> api.SearchMoviesResponse:
        if len(request.query) > MAX_QUERY:
            raise InvalidArgument("query", f"expected at most {MAX_QUERY} characters, got {len(request.query)}")
        if not words_of(request.query):
            raise InvalidArgument("query", f"expected words of a title, got {request.query[:40]!r}")
        limit = check_limit(request.limit)
        release = self._active().release
        movies = [release.movies[row] for row in release.titles.search(request.query, limit)]
        return api.SearchMoviesResponse(movies=movies, release=release.version)

    async def GetServingStatus(
        self, request: api.GetServingStatusRequest, context: Context
    ) -> api.GetServingStatusResponse:
        return self._watcher.status()

    def _active(self) -> ActiveRelease:
        """The active release. Raises NoActiveRelease."""
        active = self._watcher.active
        if active is None:
            raise NoActiveRelease(f"no release is active yet: waiting for {self._watcher.waiting_for}")
        return active


async def _embeddings(
    user_embeddings: UserEmbeddings, requests: Sequence[ResolvedRequest], time_remaining_s: float | None
) -> list[np.ndarray | ServiceError | None]:
    """For each request, in order: float32[embedding_dim], the error in its place, or None if it needs no embedding."""
    user_ids = [request.user_id for request in requests if request.user_id is not None]
    fold_in_keys = [request.fold_in_key for request in requests if request.fold_in_key]
    if user_ids and fold_in_keys:
        looked_up, folded_in = await asyncio.gather(
            user_embeddings.by_user_id.get(user_ids, time_remaining_s),
            user_embeddings.by_fold_in_key.get(fold_in_keys, time_remaining_s),
        )
    else:  # asyncio.gather would start a task for each, which costs as much as the search for neighbours
        looked_up = await user_embeddings.by_user_id.get(user_ids, time_remaining_s)
        folded_in = await user_embeddings.by_fold_in_key.get(fold_in_keys, time_remaining_s)
    embeddings: list[np.ndarray | ServiceError | None] = []
    for request in requests:
        if request.user_id is not None:
            embeddings.append(looked_up[request.user_id])
        elif request.fold_in_key:
            embeddings.append(folded_in[request.fold_in_key])
        else:
            embeddings.append(None)
    return embeddings


def _check_batch(requests: Sequence[api.RecommendRequest]) -> None:
    """Check the number of requests and the sum of their limits. Raises InvalidArgument."""
    if len(requests) > MAX_BATCH:
        raise InvalidArgument("requests", f"expected at most {MAX_BATCH}, got {len(requests)}")
    movies = 0
    for request in requests:
        with suppress(InvalidArgument):  # is reported in the place of its request
            movies += check_limit(request.limit)
    if movies > MAX_BATCH_MOVIES:
        raise InvalidArgument("requests", f"expected limits that sum to at most {MAX_BATCH_MOVIES}, got {movies}")
