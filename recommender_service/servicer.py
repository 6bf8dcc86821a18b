"""The RPCs: request in, checked; neighbours; response out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc
import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc
from recommender_service.checks import check_id, excluded_rows, limit_of, qualifying_rows
from recommender_service.errors import InvalidArgument, NoActiveRelease, ServiceError, UnknownMovie
from recommender_service.ranking import most_popular, nearest
from recommender_service.recommendation import Wanted, answer, scored_movies, understand
from recommender_service.title_index import words_of
from recommender_service.watcher import Active, ReleaseWatcher

MAX_BATCH = 100
MAX_BATCH_MOVIES = 10_000  # about 0.7 MB of answer, or 3 MB with reasons: clients accept 4 MB by default
MAX_QUERY = 200

Context = grpc.aio.ServicerContext[Any, Any]


class RecommenderServicer(recommender_pb2_grpc.RecommenderServiceServicer):
    """recommender.v1.RecommenderService."""

    def __init__(self, watcher: ReleaseWatcher, degraded_answers: bool) -> None:
        self._watcher = watcher
        self._degraded_answers = degraded_answers

    async def Recommend(self, request: api.RecommendRequest, context: Context) -> api.RecommendResponse:
        active = self._active()
        wanted = understand(active.release, request)
        (embedding,) = await _embeddings(active, [wanted], context.time_remaining())
        return answer(active.release, wanted, embedding, self._degraded_answers)

    async def BatchRecommend(self, request: api.BatchRecommendRequest, context: Context) -> api.BatchRecommendResponse:
        _check_batch(request.requests)
        active = self._active()
        understood: list[Wanted | ServiceError] = []
        for one in request.requests:
            try:
                understood.append(understand(active.release, one))
            except ServiceError as error:
                understood.append(error)
        asked = [each for each in understood if isinstance(each, Wanted)]
        embeddings = iter(await _embeddings(active, asked, context.time_remaining()))
        response = api.BatchRecommendResponse()
        for each in understood:
            try:
                if isinstance(each, ServiceError):
                    raise each
                answered = answer(active.release, each, next(embeddings), self._degraded_answers)
                response.results.add(response=answered)
            except ServiceError as error:
                response.results.add(error=error.status())
            await asyncio.sleep(0)  # other calls get their turn
        return response

    async def SimilarMovies(self, request: api.SimilarMoviesRequest, context: Context) -> api.SimilarMoviesResponse:
        check_id("movie_id", request.movie_id)
        limit = limit_of(request.limit)
        release = self._active().release
        qualifying = qualifying_rows(release, request.filter) if request.HasField("filter") else None
        excluded, _ = excluded_rows(release, request.exclude_movie_ids)
        row = release.movie_rows.get(request.movie_id)
        if row is None:
            raise UnknownMovie(request.movie_id, release.version)
        excluded[row] = True
        source = api.SIMILARITY_SOURCE_EMBEDDINGS
        if row >= release.num_trained_movies:
            source = api.SIMILARITY_SOURCE_GENRES_AND_YEAR
        if release.similar_vectors[row].any():
            rows, scores = nearest(release.similar, release.similar_vectors[row], limit, excluded, qualifying)
        else:  # neither genres nor a year: nothing is like it
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
            raise InvalidArgument("query", f"expected words of a title, got {request.query!r}")
        limit = limit_of(request.limit)
        release = self._active().release
        movies = [release.movies[row] for row in release.titles.search(request.query, limit)]
        return api.SearchMoviesResponse(movies=movies, release=release.version)

    async def GetServingStatus(
        self, request: api.GetServingStatusRequest, context: Context
    ) -> api.GetServingStatusResponse:
        return self._watcher.status()

    def _active(self) -> Active:
        active = self._watcher.active
        if active is None:
            raise NoActiveRelease(f"no release is active yet: waiting for {self._watcher.waiting_for}")
        return active


async def _embeddings(
    active: Active, wanted: Sequence[Wanted], time_remaining_s: float | None
) -> list[np.ndarray | ServiceError | None]:
    """For each, in order: float32[embedding_dim], why there is none, or None where none is needed."""
    embeddings = active.embeddings
    users, likes = [w.user_id for w in wanted if w.user_id is not None], [w.likes for w in wanted if w.likes]
    if users and likes:
        of_users, of_likes = await asyncio.gather(
            embeddings.of_users.get(users, time_remaining_s), embeddings.of_likes.get(likes, time_remaining_s)
        )
    else:  # a task for each would cost as much as the search
        of_users = await embeddings.of_users.get(users, time_remaining_s)
        of_likes = await embeddings.of_likes.get(likes, time_remaining_s)
    return [of_users[w.user_id] if w.user_id is not None else of_likes[w.likes] if w.likes else None for w in wanted]


def _check_batch(requests: Sequence[api.RecommendRequest]) -> None:
    if len(requests) > MAX_BATCH:
        raise InvalidArgument("requests", f"expected at most {MAX_BATCH}, got {len(requests)}")
    movies = 0
    for request in requests:
        with suppress(InvalidArgument):  # reported in its place
            movies += limit_of(request.limit)
    if movies > MAX_BATCH_MOVIES:
        raise InvalidArgument("requests", f"expected limits that sum to at most {MAX_BATCH_MOVIES}, got {movies}")
