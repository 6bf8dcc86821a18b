"""What ranks the movies of one release for requests. Two things do: memory_answers.py, and milvus/answers.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.errors import ServiceError
from recommender_service.page_tokens import Cursor
from recommender_service.recommendation import Embedding, Ranking
from recommender_service.resolved_request import ResolvedRequest

Vectors: TypeAlias = Callable[[np.ndarray], Awaitable[np.ndarray]]
"""Takes int rows of movies that have an embedding and returns these, float32[num_rows, embedding_dim]."""


class Answers(Protocol):
    """Ranks the movies of one release.

    Each method takes the seconds that are left to its call, as gRPC tells them, and raises ServiceError.
    """

    async def rank(self, request: ResolvedRequest, embedding: Embedding, time_remaining_s: float | None) -> Ranking:
        """The movies that answer a request."""

    async def rank_many(
        self, requests: Sequence[ResolvedRequest], embeddings: Sequence[Embedding], time_remaining_s: float | None
    ) -> list[Ranking | ServiceError]:
        """For each request, its movies or the error that it ends with."""

    async def page(
        self, request: ResolvedRequest, embedding: Embedding, after: Cursor | None, time_remaining_s: float | None
    ) -> tuple[Ranking, Cursor | None]:
        """Return (a page, where it ends or None if it is the last one).

        embedding: not needed if `after` is not None.  after: where the page before ended; None for the first page.
        """

    async def similar(
        self, request: api.SimilarMoviesRequest, after: Cursor | None, time_remaining_s: float | None
    ) -> bytes:
        """Answer a request: an encoded SimilarMoviesResponse.

        after: where the page before ended; None for the first page, or if the request asks for no pages.
        """

    def vectors_of(self, time_remaining_s: float | None) -> Vectors:
        """What gives the embeddings of rows."""
