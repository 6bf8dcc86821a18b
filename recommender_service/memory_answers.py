"""Ranks movies whose vectors this process holds; milvus/answers.py does the same by Milvus."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.answers import Vectors
from recommender_service.errors import ServiceError
from recommender_service.joint_scans import JointScans
from recommender_service.page_tokens import Cursor
from recommender_service.paged_recommendation import recommended_page, taste_of_page
from recommender_service.pages import LONG_SCAN
from recommender_service.recommendation import Embedding, Ranking, rank, taste_of
from recommender_service.release import Release
from recommender_service.resolved_request import ResolvedRequest
from recommender_service.similarity import similar_movies, similar_page
from recommender_service.turns import Turns


class MemoryAnswers:
    """The `Answers` of a release whose vectors are in memory, where nothing is waited for but the next turn."""

    def __init__(self, release: Release, turns: Turns, degraded_answers: bool) -> None:
        """degraded_answers: whether something else stands in for an embedding that the model server does not give."""
        self._release, self._turns, self._degraded_answers = release, turns, degraded_answers
        self._scans = JointScans(release)

    async def rank(self, request: ResolvedRequest, embedding: Embedding, time_remaining_s: float | None) -> Ranking:
        scan = self._scans.add(request, embedding)
        await self._turns.step()
        return rank(self._release, request, embedding, self._degraded_answers, self._scans.begin(scan))

    async def rank_many(
        self, requests: Sequence[ResolvedRequest], embeddings: Sequence[Embedding], time_remaining_s: float | None
    ) -> list[Ranking | ServiceError]:
        scans = deque(self._scans.add(*pair, len(requests)) for pair in zip(requests, embeddings, strict=True))
        rankings: list[Ranking | ServiceError] = []
        for request, embedding in zip(requests, embeddings, strict=True):
            try:
                scan = self._scans.begin(scans.popleft())  # whose scores go when they have been used
                rankings.append(rank(self._release, request, embedding, self._degraded_answers, scan))
            except ServiceError as error:
                rankings.append(error)
            await self._turns.pause()
        return rankings

    async def page(
        self, request: ResolvedRequest, embedding: Embedding, after: Cursor | None, time_remaining_s: float | None
    ) -> tuple[Ranking, Cursor | None]:
        if after is not None:
            taste = taste_of_page(self._release, request, after)
        else:
            taste = taste_of(self._release, request, embedding, self._degraded_answers)
        return await recommended_page(self._release, request, taste, after)

    async def similar(
        self, request: api.SimilarMoviesRequest, after: Cursor | None, time_remaining_s: float | None
    ) -> bytes:
        if request.HasField("page_token"):
            return await similar_page(self._release, request, after)
        return similar_movies(self._release, request)

    def vectors_of(self, time_remaining_s: float | None) -> Vectors:
        return self._vectors

    async def _vectors(self, rows: np.ndarray) -> np.ndarray:
        vectors = self._release.movie_embeddings.vectors
        if len(rows) * vectors.shape[1] > LONG_SCAN:
            return await asyncio.to_thread(vectors.take, rows, axis=0)
        return vectors.take(rows, axis=0)
