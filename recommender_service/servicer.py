"""The RPCs of recommender.v1.RecommenderService: each checks its request, ranks movies and builds the response.

Responses are returned encoded: lists of movies are put together from parts that were encoded once, see movie_bytes.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.batch_answers import encoded_results
from recommender_service.batch_checks import check_batch, check_member
from recommender_service.canary_calls import counted
from recommender_service.checks import check_answer_size
from recommender_service.errors import EventsAreOff, InvalidArgument, ServiceError
from recommender_service.page_tokens import Cursor, PagedRequest, cursor_of, token_of
from recommender_service.pinned import without_watched_since
from recommender_service.recommendation import Embedding, embeddings_of, encoded
from recommender_service.release_list import ReleaseList
from recommender_service.resolved_request import ResolvedRequest, resolve
from recommender_service.served_releases import ServedRelease
from recommender_service.shadow_recall import ShadowRecall
from recommender_service.title_search import search_movies
from recommender_service.turns import Turns
from recommender_service.user_movies import list_user_movies
from recommender_service.watcher import ReleaseWatcher

if TYPE_CHECKING:  # it is not imported while events are off
    from recommender_service.feedback.feedback import Feedback

MAX_BATCHES_AT_ONCE = 8  # whose answers are being made; each may take 4 MB
MAX_EVENTS = 1_000

Context = grpc.aio.ServicerContext[Any, Any]


class RecommenderServicer:
    """Answers the calls of recommender.v1.RecommenderService from the active release; responses are encoded already."""

    def __init__(
        self,
        watcher: ReleaseWatcher,
        release_list: ReleaseList,
        turns: Turns,
        feedback: Feedback | None,
        shadow_recall: ShadowRecall | None,
    ) -> None:
        """feedback: None if events are off.  shadow_recall: repeats some queries; None if nobody is told."""
        self._watcher = watcher
        self._releases = watcher.releases
        self._release_list = release_list
        self._turns = turns
        self._feedback = feedback
        self._shadow_recall = shadow_recall
        self._batches = asyncio.Semaphore(MAX_BATCHES_AT_ONCE)

    async def Recommend(self, request: api.RecommendRequest, context: Context) -> bytes:
        releases = self._releases
        if request.HasField("page_token"):
            after = cursor_of(request)
            served = releases.of_user(request) if after is None else releases.held(after.release)
            answer = self._recommend_page(served, after, request, context)
        else:
            served = releases.of_user(request)
            answer = self._recommend(served, request, context)
        return await (answer if releases.canary is None else counted(answer, is_canary=served is releases.other))

    async def _recommend(self, served: ServedRelease, request: api.RecommendRequest, context: Context) -> bytes:
        """An encoded RecommendResponse."""
        resolved = self._resolve(served, request)
        embedding: Embedding = None
        if resolved.user_id is not None:
            embedding = served.user_embeddings.by_user_id.cached(resolved.user_id)
        if embedding is None:
            (embedding,) = await embeddings_of(served.user_embeddings, [resolved], context.time_remaining())
        ranking = await served.answers.rank(resolved, embedding, context.time_remaining())
        if self._shadow_recall is not None and isinstance(embedding, np.ndarray) and self._shadow_recall.is_due():
            self._shadow_recall.repeat(served.release, resolved, embedding, ranking.rows)
        await self._turns.step()
        response = await encoded(served.release, resolved, ranking)
        check_answer_size("limit", len(response))
        return response

    async def _recommend_page(
        self, served: ServedRelease, after: Cursor | None, request: api.RecommendRequest, context: Context
    ) -> bytes:
        """An encoded RecommendResponse, which tells how to ask for the next page.  after: None for the first page."""
        resolved = self._resolve(served, request)
        embedding: Embedding = None
        if after is None:
            (embedding,) = await embeddings_of(served.user_embeddings, [resolved], context.time_remaining())
        ranking, cursor = await served.answers.page(resolved, embedding, after, context.time_remaining())
        response = await encoded(served.release, resolved, ranking)
        if cursor is not None:
            response += api.RecommendResponse(next_page_token=token_of(request, cursor)).SerializeToString()
        check_answer_size("limit", len(response))
        return response

    async def BatchRecommend(self, request: api.BatchRecommendRequest, context: Context) -> bytes:
        check_batch(request.requests)
        results = [b""] * len(request.requests)
        for served, places in self._releases.of_batch(request):
            requests = [request.requests[place] for place in places]
            answers = await self._batch_results(served, requests, context)
            for place, answer in zip(places, answers, strict=True):
                results[place] = answer
        check_answer_size("requests", sum(map(len, results)))
        return b"".join(results)

    async def _batch_results(
        self, served: ServedRelease, requests: Sequence[api.RecommendRequest], context: Context
    ) -> list[bytes]:
        """For each request, the encoded field `results`. Raises InvalidArgument if they would be too large."""
        entries: list[ResolvedRequest | ServiceError] = []
        for single in requests:
            try:
                check_member(single, served.release.version)
                entries.append(self._resolve(served, single))
            except ServiceError as error:
                entries.append(error)
            await self._turns.pause()
        valid = [entry for entry in entries if isinstance(entry, ResolvedRequest)]
        embeddings = await embeddings_of(served.user_embeddings, valid, context.time_remaining())
        async with self._batches:
            rankings = await served.answers.rank_many(valid, embeddings, context.time_remaining())
            return await encoded_results(served.release, entries, iter(rankings), self._turns)

    async def SimilarMovies(self, request: api.SimilarMoviesRequest, context: Context) -> bytes:
        if request.HasField("page_token"):
            served, after = self._page(request)
        else:
            served, after = self._releases.held(request.release), None
        response = await served.answers.similar(request, after, context.time_remaining())
        check_answer_size("limit", len(response))
        return response

    async def SearchMovies(self, request: api.SearchMoviesRequest, context: Context) -> bytes:
        served, after = self._page(request)
        response = await search_movies(served.release, request, after)
        check_answer_size("limit", len(response))
        return response

    async def ListGenres(self, request: api.ListGenresRequest, context: Context) -> bytes:
        return self._releases.held(request.release).release.genre_list

    async def ListUserMovies(self, request: api.ListUserMoviesRequest, context: Context) -> bytes:
        after = cursor_of(request)
        served = self._releases.of_user(request) if after is None else self._releases.held(after.release)
        vectors_of = served.answers.vectors_of(context.time_remaining())
        response = await list_user_movies(served.release, request, self._feedback, after, vectors_of)
        check_answer_size("limit", len(response))
        return response

    async def RecordEvents(self, request: api.RecordEventsRequest, context: Context) -> bytes:
        if self._feedback is None:
            raise EventsAreOff()
        if len(request.events) > MAX_EVENTS:
            raise InvalidArgument("events", f"expected at most {MAX_EVENTS:,}, got {len(request.events):,}")
        release = self._releases.held(0).release
        response, events = api.RecordEventsResponse(), []
        for index, event in enumerate(request.events):
            try:
                events.append(self._feedback.check(release, event))
            except InvalidArgument as error:
                response.rejected.add(index=index, field=error.field, reason=error.problem)
            await self._turns.pause()
        response.recorded = await self._feedback.record(events, context.time_remaining())
        response.duplicates = len(events) - response.recorded
        return response.SerializeToString()

    async def GetServingStatus(self, request: api.GetServingStatusRequest, context: Context) -> bytes:
        status = self._watcher.status()
        if self._feedback is not None:
            active = self._releases.active
            status.events.CopyFrom(self._feedback.status(active.release if active is not None else None))
        return status.SerializeToString()

    async def ListReleases(self, request: api.ListReleasesRequest, context: Context) -> bytes:
        return await self._release_list.answer(request, self._watcher.status().releases)

    def _page(self, request: PagedRequest) -> tuple[ServedRelease, Cursor | None]:
        """Return (the release that answers; where the page before ended, None for the first page or without pages)."""
        after = cursor_of(request)
        return self._releases.held(after.release if after is not None else request.release), after

    def _resolve(self, served: ServedRelease, request: api.RecommendRequest) -> ResolvedRequest:
        """Check a request and look up what it names in a release. Raises InvalidArgument."""
        resolved, active = resolve(served.release, request, self._feedback), self._releases.active
        if served is active or active is None or served.release.version > active.release.version:
            return resolved  # a newer release knows what the active one does
        return without_watched_since(request, resolved, served.release, active.release)
