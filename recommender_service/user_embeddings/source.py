"""The user embeddings of a release, by user id and by the movies that somebody likes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

from protos.release.v1 import manifest_pb2
from protos.release.v1.layout import FOLD_IN, FORMATS, LOOK_UP, Signature
from recommender_service.errors import DeadlineExceeded, ModelServerUnavailable, ServiceError
from recommender_service.futures import fail
from recommender_service.metrics import (
    FROM_CACHE,
    FROM_MODEL_SERVER,
    MODEL_SERVER_AWAY,
    MODEL_SERVER_FAILED,
    MODEL_SERVER_LATE,
    USER_EMBEDDINGS,
)
from recommender_service.model_server import ModelServer, ModelServerError
from recommender_service.user_embeddings.circuit_breaker import CircuitBreaker
from recommender_service.user_embeddings.lru_cache import LruCache
from recommender_service.user_embeddings.micro_batcher import Fetch, MicroBatcher

if TYPE_CHECKING:
    from recommender_service.tracing import Tracing, WaitingCalls

RESERVE_S, RESERVE_SHARE = 0.01, 0.1  # of the time to the deadline, the larger is kept for the search and the answer


class FoldInKey(NamedTuple):
    """What a fold-in depends on.

    movie_ids: bytes of int64 ids, at least one, distinct, of movies with an embedding.
    in_order: whether they are in the order of liking, the latest last. If not, they are a set, and ascend.
    """

    movie_ids: bytes
    in_order: bool


Key = TypeVar("Key", int, FoldInKey)


class UserEmbeddings:
    """The user embeddings of one release. For a given key they never change, so a cached one is never out of date."""

    def __init__(
        self, model_server: ModelServer, manifest: manifest_pb2.Manifest, cache_size: int, timeout_s: float
    ) -> None:
        """cache_size: how many embeddings each of the two sources keeps.  timeout_s: the longest wait in a call."""
        name, version, dim = manifest.model_name, manifest.version, manifest.embedding_dim
        padding = FORMATS[manifest.format_version].fold_in_padding

        async def look_up(user_ids: Sequence[int]) -> np.ndarray:
            return await model_server.user_embeddings(name, version, user_ids, dim, timeout_s)

        async def fold_in_alike(keys: Sequence[FoldInKey]) -> np.ndarray:
            liked_movie_ids = [np.frombuffer(key.movie_ids, np.int64) for key in keys]
            return await model_server.fold_in(name, version, liked_movie_ids, keys[0].in_order, padding, dim, timeout_s)

        async def fold_in(keys: Sequence[FoldInKey]) -> np.ndarray:
            in_order = np.array([key.in_order for key in keys])
            if in_order.all() or not in_order.any():
                return await fold_in_alike(keys)
            embeddings = np.empty((len(keys), dim), np.float32)
            embeddings[in_order], embeddings[~in_order] = await asyncio.gather(
                fold_in_alike([key for key in keys if key.in_order]),
                fold_in_alike([key for key in keys if not key.in_order]),
            )
            return embeddings

        address, tracing = model_server.address, model_server.tracing
        self.by_user_id = EmbeddingSource(look_up, LOOK_UP, address, cache_size, timeout_s, tracing)
        """The trained embedding of a user, by user id."""
        self.by_fold_in_key = EmbeddingSource(fold_in, FOLD_IN, address, cache_size, timeout_s, tracing)
        """The embedding of somebody who likes certain movies, by `fold_in_key` of them."""


def fold_in_key(liked_movie_ids: np.ndarray, in_order: bool) -> FoldInKey:
    """The key of a fold-in.

    liked_movie_ids: int64, at least one, distinct, of movies with an embedding.
    in_order: whether they are in the order of liking, the latest last, and the model knows what that tells.
    """
    if in_order and len(liked_movie_ids) > 1:
        return FoldInKey(liked_movie_ids.tobytes(), in_order=True)
    return FoldInKey(np.sort(liked_movie_ids).tobytes(), in_order=False)


class EmbeddingSource(Generic[Key]):
    """Embeddings by key, from the cache or else from the model server, while the circuit breaker lets it be asked."""

    def __init__(
        self,
        predict: Fetch[Key],
        signature: Signature,
        address: str,
        cache_size: int,
        timeout_s: float,
        tracing: Tracing | None,
    ) -> None:
        """predict: keys → float32[len(keys), embedding_dim]; raises ModelServerError.

        signature: of the model, that `predict` calls.  address: of the model server, for error messages.
        """
        calls = tracing.waiting_calls(predict, signature.name) if tracing is not None else None
        predict = calls.predict if calls is not None else predict
        cache = LruCache[Key, np.ndarray](cache_size)
        breaker = CircuitBreaker()

        async def fetch(keys: Sequence[Key]) -> np.ndarray:
            try:
                embeddings = await predict(keys)
            except Exception:
                breaker.failed()
                raise
            breaker.succeeded()
            for key, embedding in zip(keys, embeddings, strict=True):
                cache.put(key, embedding.copy())  # a view of one row would keep the whole batch in memory
            return embeddings

        self._calls: WaitingCalls[Key] | None = calls
        self._cache: LruCache[Key, np.ndarray] = cache
        self._breaker = breaker
        self._batcher: MicroBatcher[Key] = MicroBatcher(fetch, signature.max_batch)
        self._address = address
        self._timeout_s = timeout_s
        self._from_cache = signature.name, FROM_CACHE
        self._from_model_server = signature.name, FROM_MODEL_SERVER

    def cached(self, key: Key) -> np.ndarray | None:
        """The key's float32[embedding_dim] if the cache holds it, else None."""
        embedding = self._cache.get(key)
        if embedding is not None:
            USER_EMBEDDINGS[self._from_cache] += 1
        return embedding

    async def get(self, keys: Sequence[Key], time_remaining_s: float | None) -> dict[Key, np.ndarray | ServiceError]:
        """For each key, its float32[embedding_dim], or DeadlineExceeded or ModelServerUnavailable in its place.

        time_remaining_s: the time until the caller's deadline; None if the caller set none.
        """
        found: dict[Key, np.ndarray | ServiceError] = {}
        missing: list[Key] = []
        for key in dict.fromkeys(keys):
            embedding = self.cached(key)
            if embedding is None:
                missing.append(key)
            else:
                found[key] = embedding
        if missing:
            found.update(await self._get_missing(missing, time_remaining_s))
        return found

    async def _get_missing(
        self, keys: Sequence[Key], time_remaining_s: float | None
    ) -> dict[Key, np.ndarray | ServiceError]:
        """Ask the model server for the keys, and return an embedding or an error for each."""
        timeout_s = self._timeout_s
        if time_remaining_s is not None:
            timeout_s = min(timeout_s, time_remaining_s - max(RESERVE_S, RESERVE_SHARE * time_remaining_s))
        if timeout_s <= 0:
            return dict.fromkeys(keys, DeadlineExceeded("the deadline leaves no time to ask the model server"))
        if not self._breaker.allows(attempt_in_progress=self._batcher.is_fetching):
            message = f"the model server at {self._address} does not answer"
            return dict.fromkeys(keys, ModelServerUnavailable(message, MODEL_SERVER_AWAY))
        futures = self._batcher.submit(keys)
        if self._calls is not None:
            queued = [key for key in keys if self._batcher.is_queued(key)]
            self._calls.join(queued, len(queued) < len(keys))
        timer = asyncio.get_running_loop().call_later(timeout_s, fail, futures.values(), TimeoutError)
        try:
            return {key: await self._outcome(future, timeout_s) for key, future in futures.items()}
        finally:
            timer.cancel()

    async def _outcome(self, future: asyncio.Future[np.ndarray], timeout_s: float) -> np.ndarray | ServiceError:
        """The embedding, or ModelServerUnavailable. Any other error is a bug and is raised."""
        try:
            embedding = await future
        except TimeoutError:
            message = f"the model server at {self._address} did not answer within {timeout_s:.3g} s"
            return ModelServerUnavailable(message, MODEL_SERVER_LATE)
        except ModelServerError as error:
            message = f"the model server at {self._address} gave no embedding: {error}"
            return ModelServerUnavailable(message, MODEL_SERVER_FAILED)
        USER_EMBEDDINGS[self._from_model_server] += 1
        return embedding
