"""Ranks movies for resolved requests by Milvus, and falls back to popular ones while it cannot be asked.

Where this process holds the vectors, memory_answers.py does the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.answers import Vectors
from recommender_service.checks import NO_ROWS
from recommender_service.errors import MilvusUnavailable, ModelServerUnavailable, ServiceError
from recommender_service.metrics import ANSWERS, FALLBACKS
from recommender_service.milvus.collection import EMBEDDING
from recommender_service.milvus.search import MilvusSearch, Ranked, Wanted
from recommender_service.milvus.similar import similar_by_milvus
from recommender_service.page_tokens import Cursor
from recommender_service.paged_recommendation import page_and_cursor, taste_of_page
from recommender_service.pages import Page, popular_page
from recommender_service.ranking import most_popular, reasons
from recommender_service.recommendation import Embedding, Ranking, Taste, taste_of
from recommender_service.resolved_request import ResolvedRequest, liked_rows_of


class MilvusAnswers:
    """The `Answers` of a release whose movies Milvus holds. Rankings have their reasons with them."""

    def __init__(self, search: MilvusSearch, degraded_answers: bool) -> None:
        """degraded_answers: whether popular movies take the place of others while Milvus cannot be asked."""
        self._search, self._degraded_answers = search, degraded_answers
        self._release = search.release

    async def rank(self, request: ResolvedRequest, embedding: Embedding, time_remaining_s: float | None) -> Ranking:
        (answer,) = await self.rank_many([request], [embedding], time_remaining_s)
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    async def rank_many(
        self, requests: Sequence[ResolvedRequest], embeddings: Sequence[Embedding], time_remaining_s: float | None
    ) -> list[Ranking | ServiceError]:
        deadline = self._search.deadline(time_remaining_s)
        tastes = [await self._taste(*pair, deadline) for pair in zip(requests, embeddings, strict=True)]
        wanted = [
            _wanted(request, taste[2])
            for request, taste in zip(requests, tastes, strict=True)
            if not isinstance(taste, ServiceError) and taste[2] is not None
        ]
        found = iter(await self._search.nearest_of_many(wanted, deadline))
        rankings: list[Ranking | ServiceError] = []
        for request, taste in zip(requests, tastes, strict=True):
            try:
                if isinstance(taste, ServiceError):
                    raise taste
                ranking = self._ranking(request, taste, next(found) if taste[2] is not None else None)
                ranking = await self._with_reasons(request, ranking, deadline)
            except ServiceError as error:
                rankings.append(error)
            else:
                ANSWERS[ranking.source, bool(ranking.degraded_reason)] += 1
                rankings.append(ranking)
        return rankings

    async def page(
        self,
        request: ResolvedRequest,
        embedding: Embedding,
        after: Cursor | None,
        time_remaining_s: float | None,
    ) -> tuple[Ranking, Cursor | None]:
        # While Milvus cannot be asked, a list may begin with popular movies, but not go on.
        deadline = self._search.deadline(time_remaining_s)
        if after is not None:
            taste: Taste | ServiceError = taste_of_page(self._release, request, after)
        else:
            taste = await self._taste(request, embedding, deadline)
        if isinstance(taste, ServiceError):
            raise taste
        page: Page | None = None
        if taste[2] is not None:
            try:
                page = await self._search.page(EMBEDDING, _wanted(request, taste[2]), after, deadline)
            except MilvusUnavailable as error:
                if after is not None:
                    raise
                taste = *self._fallen_back(error, taste[1]), None
        if page is None:
            page = popular_page(self._release, request.limit, request.excluded_rows, request.qualifying, after)
        ranking, cursor = page_and_cursor(self._release, request, taste, page)
        return await self._with_reasons(request, ranking, deadline), cursor

    async def similar(
        self, request: api.SimilarMoviesRequest, after: Cursor | None, time_remaining_s: float | None
    ) -> bytes:
        return await similar_by_milvus(self._search, request, after, self._search.deadline(time_remaining_s))

    def vectors_of(self, time_remaining_s: float | None) -> Vectors:
        return partial(self._search.vectors, EMBEDDING, deadline=self._search.deadline(time_remaining_s))

    async def _taste(self, request: ResolvedRequest, embedding: Embedding, deadline: float) -> Taste | ServiceError:
        """What a list is ranked by, or the error. The mean of liked movies' vectors may stand in."""
        liked: np.ndarray | None = None
        try:
            if self._degraded_answers and isinstance(embedding, ModelServerUnavailable):
                liked = await self._search.vectors(EMBEDDING, liked_rows_of(self._release, request), deadline)
            return taste_of(self._release, request, embedding, self._degraded_answers, liked)
        except MilvusUnavailable as error:
            return *self._fallen_back(error, "; ".join(filter(None, [str(embedding), request.degraded_reason]))), None
        except ServiceError as error:
            return error

    def _ranking(self, request: ResolvedRequest, taste: Taste, found: Ranked | BaseException | None) -> Ranking:
        """found: what Milvus found, or the error; None for popular movies. Raises the error if nothing replaces it."""
        source, degraded_reason, _ = taste
        if isinstance(found, MilvusUnavailable):
            source, degraded_reason = self._fallen_back(found, degraded_reason)
            found = None
        if isinstance(found, BaseException):
            raise found
        if found is None:
            found = most_popular(self._release, request.limit, request.excluded_rows, request.qualifying)
        return Ranking(source, degraded_reason, *found)

    async def _with_reasons(self, request: ResolvedRequest, ranking: Ranking, deadline: float) -> Ranking:
        """The ranking with its reasons, if the request asks for them; without, and degraded, if Milvus is away."""
        liked = liked_rows_of(self._release, request) if request.explain and ranking.rows else NO_ROWS
        if not len(liked):
            return ranking
        num_rows = len(ranking.rows)
        try:
            rows = np.concatenate([np.array(ranking.rows), liked])
            vectors = await self._search.vectors(EMBEDDING, rows, deadline)
        except MilvusUnavailable as error:
            if not self._degraded_answers:
                raise
            reason = "; ".join(filter(None, [ranking.degraded_reason, f"no reasons: {error}"]))
            return ranking._replace(degraded_reason=reason, reasons=[[]] * num_rows)
        return ranking._replace(reasons=reasons(vectors[:num_rows], vectors[num_rows:], ranking.rows, liked))

    def _fallen_back(self, error: MilvusUnavailable, degraded_reason: str) -> tuple[api.Source, str]:
        """The source and the reason of an answer without Milvus. Raises the error if there is to be none."""
        if not self._degraded_answers:
            raise error
        FALLBACKS[error.why] += 1
        return api.SOURCE_POPULAR, "; ".join(filter(None, [degraded_reason, str(error)]))


def _wanted(request: ResolvedRequest, query: np.ndarray) -> Wanted:
    return Wanted(query, request.limit, request.excluded_rows, request.qualifying, request.movie_filter)
