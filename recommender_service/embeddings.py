"""Users' embeddings: from the cache, or from the model server together with whoever else asks at the moment."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from protos.release.v1.layout import FOLD_IN, LOOK_UP
from recommender_service.errors import DeadlineExceeded, ModelServerUnavailable, ServiceError
from recommender_service.metrics import EMBEDDINGS_FROM_CACHE, EMBEDDINGS_FROM_MODEL_SERVER
from recommender_service.model_server import ModelServer, ModelServerError
from recommender_service.release import Release

RESERVE_S = 0.01  # kept back from the caller's deadline for the search and the answer
RETRY_S = 0.5  # after a failure the model server is asked again no sooner, and by one batch at a time

Key = TypeVar("Key", int, bytes)


class Embeddings:
    """Where one release's users get their embeddings. They depend on (release, key) alone, so a cached one is right."""

    def __init__(self, model_server: ModelServer, release: Release, cache_size: int, timeout_s: float) -> None:
        manifest = release.manifest
        name, version, dim = manifest.model_name, manifest.version, manifest.embedding_dim

        async def look_up(user_ids: Sequence[int]) -> np.ndarray:
            return await model_server.user_embeddings(name, version, user_ids, dim, timeout_s)

        async def fold_in(likes: Sequence[bytes]) -> np.ndarray:
            movie_ids = [np.frombuffer(liked, np.int64) for liked in likes]
            return await model_server.fold_in(name, version, movie_ids, dim, timeout_s)

        address = model_server.address
        self.of_users = MicroBatches(look_up, LOOK_UP.max_batch, address, cache_size, timeout_s)
        """By user id."""
        self.of_likes = MicroBatches(fold_in, FOLD_IN.max_batch, address, cache_size, timeout_s)
        """By the ids of liked movies with an embedding, at least one, ascending: the bytes of an int64 array."""


class MicroBatches(Generic[Key]):
    """Embeddings by key; keys that arrive while a Predict is under way travel together in the next."""

    def __init__(
        self,
        fetch: Callable[[Sequence[Key]], Awaitable[np.ndarray]],
        max_batch: int,
        address: str,
        cache_size: int,
        timeout_s: float,
    ) -> None:
        """fetch: keys → float32[len(keys), embedding_dim], or ModelServerError.  address: for error messages."""
        self._fetch: Callable[[Sequence[Key]], Awaitable[np.ndarray]] = fetch
        self._max_batch = max_batch
        self._address = address
        self._cache_size = cache_size
        self._timeout_s = timeout_s
        self._cache: OrderedDict[Key, np.ndarray] = OrderedDict()
        self._waiting: dict[Key, asyncio.Future[np.ndarray]] = {}  # asked for, not sent yet, in order of arrival
        self._under_way: dict[Key, asyncio.Future[np.ndarray]] = {}
        self._retry_at: float | None = None  # monotonic seconds; None while the model server answers
        self._flight: asyncio.Task[None] | None = None  # one at a time: measured, two cost a quarter more CPU per call

    def _cached(self, key: Key) -> np.ndarray | None:
        embedding = self._cache.get(key)
        if embedding is not None:
            self._cache.move_to_end(key)
            EMBEDDINGS_FROM_CACHE.inc()
        return embedding

    async def get(self, keys: Sequence[Key], time_remaining_s: float | None) -> dict[Key, np.ndarray | ServiceError]:
        """float32[embedding_dim] by key, or DeadlineExceeded or ModelServerUnavailable in its place.

        time_remaining_s: until the caller's deadline, None without one.
        """
        found: dict[Key, np.ndarray | ServiceError] = {}
        missing: list[Key] = []
        for key in dict.fromkeys(keys):
            embedding = self._cached(key)
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
        timeout_s = self._timeout_s
        if time_remaining_s is not None:
            timeout_s = min(timeout_s, time_remaining_s - RESERVE_S)
        if timeout_s <= 0:
            return dict.fromkeys(keys, DeadlineExceeded("no time is left to ask the model server"))
        if self._retry_at is not None and (self._flight is not None or time.monotonic() < self._retry_at):
            # waiting would only hold callers up: one batch finds out whether it is back
            return dict.fromkeys(keys, ModelServerUnavailable(f"the model server at {self._address} does not answer"))
        asked = {key: self._ask(key) for key in keys}
        self._take_off()
        # asyncio.wait neither cancels what others wait for too, nor raises when the time is up
        await asyncio.wait(asked.values(), timeout=timeout_s)
        late = ModelServerUnavailable(f"the model server at {self._address} did not answer within {timeout_s:.3g} s")
        return {key: _outcome(answer) if answer.done() else late for key, answer in asked.items()}

    def _ask(self, key: Key) -> asyncio.Future[np.ndarray]:
        asked = self._waiting.get(key) or self._under_way.get(key)
        if asked is None:
            asked = self._waiting[key] = asyncio.get_running_loop().create_future()
        return asked

    def _take_off(self) -> None:
        """Sends whoever waits, unless a Predict is under way; that one sends the next when it is done."""
        if self._waiting and self._flight is None:
            keys = list(self._waiting)[: self._max_batch]
            batch = {key: self._waiting.pop(key) for key in keys}
            self._under_way.update(batch)
            self._flight = asyncio.create_task(self._fly(batch))
            self._flight.add_done_callback(self._land)

    def _land(self, flight: asyncio.Task[None]) -> None:
        self._flight = None
        self._take_off()

    async def _fly(self, batch: dict[Key, asyncio.Future[np.ndarray]]) -> None:
        try:
            embeddings = await self._fetch(list(batch))
        except Exception as error:
            self._retry_at = time.monotonic() + RETRY_S
            for asked in batch.values():
                asked.set_exception(_unavailable(error, self._address))
                asked.exception()  # seen: everybody who asked may have left by now
        else:
            for asked, embedding in zip(batch.values(), embeddings, strict=True):
                asked.set_result(embedding)
            self._keep(list(batch), embeddings)
            self._retry_at = None
        finally:
            for key in batch:
                del self._under_way[key]

    def _keep(self, keys: Sequence[Key], embeddings: np.ndarray) -> None:
        if self._cache_size:
            for key, embedding in zip(keys, embeddings, strict=True):
                self._cache[key] = embedding.copy()  # a row of the batch would keep the whole batch alive
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)


def _outcome(answer: asyncio.Future[np.ndarray]) -> np.ndarray | ServiceError:
    error = answer.exception()
    if isinstance(error, ServiceError):
        return error
    EMBEDDINGS_FROM_MODEL_SERVER.inc()
    return answer.result()


def _unavailable(error: Exception, address: str) -> Exception:
    if isinstance(error, ModelServerError):
        return ModelServerUnavailable(f"the model server at {address} gave no embedding: {error}")
    return error
