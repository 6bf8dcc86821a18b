"""A client of Milvus for calls: it searches collections and fetches vectors within their deadlines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import numpy as np
from pymilvus import AsyncMilvusClient, MilvusException
from pymilvus.client.types import LoadState

from protos.release.v1 import manifest_pb2 as pb
from recommender_service.errors import MilvusUnavailable
from recommender_service.logs import silence
from recommender_service.metrics import (
    MILVUS_AWAY,
    MILVUS_CALLS,
    MILVUS_FAILED,
    MILVUS_LATE,
    MILVUS_REACHABLE,
    CallTally,
)
from recommender_service.milvus.collection import METRIC, MOVIE_ID, collection_of, only_movies
from recommender_service.probe import STATUS_TIMEOUT_S, NotYet
from recommender_service.user_embeddings.circuit_breaker import CircuitBreaker
from recommender_service.user_embeddings.source import RESERVE_S, RESERVE_SHARE

if TYPE_CHECKING:
    from recommender_service.tracing import Tracing

MAX_FETCHED = 4_096  # vectors in an answer, 5 MB of 300 dimensions; Milvus gives no more than 16,384

CLOSE_GRACE_S = 15.0  # longer than any call takes
MAX_CODE_OF_PYMILVUS = 2  # of its own errors: it is not connected, or got no answer
UNREACHED = (MilvusException, grpc.RpcError, TimeoutError)

Found = list[tuple[int, float]]
"""(movie id, cosine), best first"""

Answer = TypeVar("Answer")


class Milvus:
    """Searches on one connection, which all calls of the process share."""

    def __init__(self, uri: str, token: str, timeout_s: float, tracing: Tracing | None) -> None:
        """uri: http://host:port or https://….  token: empty for none.  timeout_s: the longest wait in a call.

        tracing: makes spans of what calls ask, if it is not None.
        """
        silence("pymilvus")
        self.address = uri.removeprefix("http://").removeprefix("https://")
        self._uri, self._token, self._timeout_s = uri, token, timeout_s
        self._tracing = tracing
        self._client: AsyncMilvusClient | None = None
        self._breaker = CircuitBreaker()
        self._in_progress = 0
        self._closing: set[asyncio.Task[None]] = set()
        for kind in ("search", "fetch"):
            MILVUS_CALLS[kind] = CallTally()

    async def expect_loaded(self, manifest: pb.Manifest) -> None:
        """Raise NotYet unless Milvus holds the collection of the release complete and in memory."""
        name = collection_of(manifest)
        try:
            state = await self._state(name)
        except UNREACHED as error:
            raise NotYet(f"Milvus at {self.address}: {_described(error)}") from error
        if state != LoadState.Loaded:
            raise NotYet(f"the collection {name} in Milvus at {self.address}, whose state is {state.name}")

    async def has_lost(self, manifest: pb.Manifest) -> bool:
        """Whether Milvus answers that it does not hold the collection of the release, or not any more."""
        try:
            return bool(await self._state(collection_of(manifest)) == LoadState.NotExist)
        except UNREACHED:
            return False

    async def _state(self, collection: str) -> LoadState:
        """Raises one of UNREACHED. Calls then get a new connection: the old one may notice a restart late."""
        try:
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                answer = await self._connected().get_load_state(collection, timeout=STATUS_TIMEOUT_S)
        except UNREACHED:
            MILVUS_REACHABLE.set(0)
            client, self._client = self._client, None
            if client is not None:
                closing = asyncio.create_task(_close_later(client))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
            raise
        MILVUS_REACHABLE.set(1)
        state: LoadState = answer["state"]
        return state

    def deadline(self, time_remaining_s: float | None) -> float:
        """Until when a call may ask, in monotonic seconds.  time_remaining_s: to the caller's deadline, or None."""
        timeout_s = self._timeout_s
        if time_remaining_s is not None:
            timeout_s = min(timeout_s, time_remaining_s - max(RESERVE_S, RESERVE_SHARE * time_remaining_s))
        return time.monotonic() + timeout_s

    async def search(
        self,
        collection: str,
        field: str,
        queries: Sequence[np.ndarray],
        limit: int,
        effort: int,
        condition: str,
        deadline: float,
    ) -> list[Found]:
        """For each query, the `limit` movies nearest to it that meet the condition; fewer if the graph leads to fewer.

        queries: float32[dim], of unit length.  Raises MilvusUnavailable.
        """
        arguments = {"anns_field": field, "filter": condition, "output_fields": [MOVIE_ID], "limit": limit}
        parameters = {"metric_type": METRIC, "params": {"ef": max(effort, limit)}}

        async def ask(client: AsyncMilvusClient, timeout_s: float) -> Any:
            return await client.search(
                collection, data=list(queries), search_params=parameters, timeout=timeout_s, **arguments
            )

        answers = await self._ask("search", ask, deadline)
        return [[(hit[MOVIE_ID], hit["distance"]) for hit in hits] for hits in answers]

    async def vectors(self, collection: str, field: str, movie_ids: np.ndarray, deadline: float) -> np.ndarray:
        """The vectors of these movies, float32[len(movie_ids), dim]. Raises MilvusUnavailable.

        movie_ids: int64[n], n > 0, in any order, perhaps with repetitions; all of them are in the collection.
        """
        wanted, places = np.unique(movie_ids, return_inverse=True)
        rows: dict[int, Sequence[float]] = {}
        for start in range(0, len(wanted), MAX_FETCHED):
            condition = only_movies(wanted[start : start + MAX_FETCHED].tolist())

            async def ask(client: AsyncMilvusClient, timeout_s: float, condition: str = condition) -> Any:
                return await client.query(
                    collection, filter=condition, output_fields=[MOVIE_ID, field], timeout=timeout_s
                )

            rows.update((row[MOVIE_ID], row[field]) for row in await self._ask("fetch", ask, deadline))
        missing = next((movie_id for movie_id in wanted.tolist() if movie_id not in rows), None)
        if missing is not None:
            raise MilvusUnavailable(f"Milvus at {self.address} has no movie {missing} in {collection}", MILVUS_FAILED)
        vectors: np.ndarray = np.array([rows[movie_id] for movie_id in wanted.tolist()], np.float32)[places]
        return vectors

    async def close(self) -> None:
        for closing in self._closing:
            closing.cancel()
        if self._client is not None:
            await self._client.close()

    async def _ask(
        self,
        kind: str,
        ask: Callable[[AsyncMilvusClient, float], Awaitable[Answer]],
        deadline: float,
    ) -> Answer:
        """Call Milvus, and count the call. Raises MilvusUnavailable."""
        timeout_s = deadline - time.monotonic()
        if timeout_s <= 0:
            raise MilvusUnavailable(f"no time is left to ask Milvus at {self.address}", MILVUS_LATE)
        if not self._breaker.allows(attempt_in_progress=self._in_progress > 0):
            raise MilvusUnavailable(f"Milvus at {self.address} does not answer", MILVUS_AWAY)
        start, code = time.perf_counter(), "CANCELLED"
        self._in_progress += 1
        try:
            with self._tracing.client_span(f"Milvus {kind}") if self._tracing is not None else nullcontext():
                async with asyncio.timeout(timeout_s):
                    answer = await ask(self._connected(), timeout_s)
        except TimeoutError as error:
            code = "DEADLINE_EXCEEDED"
            self._breaker.failed()
            message = f"Milvus at {self.address} did not answer within {timeout_s:.3g} s"
            raise MilvusUnavailable(message, MILVUS_LATE) from error
        except (MilvusException, grpc.RpcError) as error:
            code = "UNAVAILABLE"
            if _is_answer(error):  # of one collection, perhaps of a release that is gone; others may be there
                self._breaker.succeeded()
            else:
                self._breaker.failed()
            raise MilvusUnavailable(f"Milvus at {self.address}: {_described(error)}", MILVUS_FAILED) from error
        else:
            code = "OK"
            self._breaker.succeeded()
            return answer
        finally:
            self._in_progress -= 1
            MILVUS_CALLS[kind].add(code, time.perf_counter() - start)

    def _connected(self) -> AsyncMilvusClient:
        if self._client is None:
            self._client = AsyncMilvusClient(self._uri, token=self._token, dedicated=True, timeout=self._timeout_s)
        return self._client


async def _close_later(client: AsyncMilvusClient) -> None:
    """Close it once no call can be in progress on it."""
    await asyncio.sleep(CLOSE_GRACE_S)
    with suppress(*UNREACHED):
        await client.close()


def _is_answer(error: Exception) -> bool:
    """Whether Milvus itself refused, rather than could not be asked.  pymilvus has codes of its own, up to 2."""
    code = getattr(error, "code", None)
    return isinstance(code, int) and code > MAX_CODE_OF_PYMILVUS


def _described(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return str(getattr(error, "message", "")) or "it did not answer in time"
