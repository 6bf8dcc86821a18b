"""A user's embedding: from the cache, or from the model server together with whoever else asks at the moment."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

import numpy as np

from recommender_service.errors import DeadlineExceeded, ModelServerUnavailable
from recommender_service.metrics import EMBEDDINGS_FROM_CACHE, EMBEDDINGS_FROM_MODEL_SERVER
from recommender_service.model_server import ModelServer, ModelServerError
from recommender_service.release import Release

MAX_BATCH = 256  # ids per Predict: 256 KB of answer at 256 dimensions
RESERVE_S = 0.01  # kept back from the caller's deadline for the search and the answer
RETRY_S = 0.5  # after a failure the model server is asked again no sooner, and by one batch at a time


class UserEmbeddings:
    """Embeddings of one release's users. They depend on (release, user id) alone, so a cached one is never stale."""

    def __init__(self, model_server: ModelServer, release: Release, cache_size: int, timeout_s: float) -> None:
        self._model_server = model_server
        self._release = release
        self._cache_size = cache_size
        self._timeout_s = timeout_s
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()
        self._waiting: dict[int, asyncio.Future[np.ndarray]] = {}  # asked for, not sent yet, in order of arrival
        self._under_way: dict[int, asyncio.Future[np.ndarray]] = {}
        self._retry_at: float | None = None  # monotonic seconds; None while the model server answers
        self._flight: asyncio.Task[None] | None = None  # one at a time: measured, two cost a quarter more CPU per call

    async def get(self, user_id: int, time_remaining_s: float | None) -> np.ndarray:
        """float32[embedding_dim].  time_remaining_s: until the caller's deadline, None without one.

        Raises DeadlineExceeded or ModelServerUnavailable.
        """
        cached = self._cache.get(user_id)
        if cached is not None:
            self._cache.move_to_end(user_id)
            EMBEDDINGS_FROM_CACHE.inc()
            return cached
        timeout_s = self._timeout_s
        if time_remaining_s is not None:
            timeout_s = min(timeout_s, time_remaining_s - RESERVE_S)
        if timeout_s <= 0:
            raise DeadlineExceeded("no time is left to ask the model server")
        if self._retry_at is not None and (self._flight is not None or time.monotonic() < self._retry_at):
            # waiting would only hold callers up: one batch finds out whether it is back
            raise ModelServerUnavailable(f"the model server at {self._model_server.address} does not answer")
        asked = self._ask(user_id)
        # asyncio.wait neither cancels what others wait for too, nor raises when the time is up
        await asyncio.wait([asked], timeout=timeout_s)
        if asked.done():
            EMBEDDINGS_FROM_MODEL_SERVER.inc()
            return asked.result()
        raise ModelServerUnavailable(
            f"the model server at {self._model_server.address} did not answer within {timeout_s:.3g} s"
        )

    def _ask(self, user_id: int) -> asyncio.Future[np.ndarray]:
        asked = self._waiting.get(user_id) or self._under_way.get(user_id)
        if asked is None:
            asked = asyncio.get_running_loop().create_future()
            asked.add_done_callback(_retrieve)
            self._waiting[user_id] = asked
            self._take_off()
        return asked

    def _take_off(self) -> None:
        """Sends whoever waits, unless a Predict is under way; that one sends the next when it is done."""
        if self._waiting and self._flight is None:
            user_ids = list(self._waiting)[:MAX_BATCH]
            batch = {user_id: self._waiting.pop(user_id) for user_id in user_ids}
            self._under_way.update(batch)
            self._flight = asyncio.create_task(self._fly(batch))
            self._flight.add_done_callback(self._land)

    def _land(self, flight: asyncio.Task[None]) -> None:
        self._flight = None
        self._take_off()

    async def _fly(self, batch: dict[int, asyncio.Future[np.ndarray]]) -> None:
        manifest = self._release.manifest
        try:
            embeddings = await self._model_server.user_embeddings(
                manifest.model_name, manifest.version, list(batch), manifest.embedding_dim, self._timeout_s
            )
        except Exception as error:
            self._retry_at = time.monotonic() + RETRY_S
            for asked in batch.values():
                asked.set_exception(_unavailable(error, self._model_server.address))
        else:
            for asked, embedding in zip(batch.values(), embeddings, strict=True):
                asked.set_result(embedding)
            self._keep(list(batch), embeddings)
            self._retry_at = None
        finally:
            for user_id in batch:
                del self._under_way[user_id]

    def _keep(self, user_ids: list[int], embeddings: np.ndarray) -> None:
        if self._cache_size:
            for user_id, embedding in zip(user_ids, embeddings, strict=True):
                self._cache[user_id] = embedding.copy()  # a row of the batch would keep the whole batch alive
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)


def _unavailable(error: Exception, address: str) -> Exception:
    if isinstance(error, ModelServerError):
        return ModelServerUnavailable(f"the model server at {address} gave no embedding: {error}")
    return error


def _retrieve(asked: asyncio.Future[np.ndarray]) -> None:
    """Marks an exception as seen: everybody who asked may have left by then."""
    if not asked.cancelled():
        asked.exception()
