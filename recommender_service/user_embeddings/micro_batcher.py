"""A micro-batcher: keys that arrive while a batch is being fetched are fetched together in the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from itertools import chain
from typing import Generic, TypeVar

import numpy as np

from recommender_service.futures import fail, succeed

Key = TypeVar("Key", bound=Hashable)
Fetch = Callable[[Sequence[Key]], Awaitable[np.ndarray]]


class MicroBatcher(Generic[Key]):
    """Fetches embeddings in batches of at most `max_batch` keys, one batch at a time.

    It never delays a batch to make it larger: batches grow by themselves when keys arrive while one is being fetched.
    It fetches one batch at a time because two at once cost more processor time per call.
    """

    def __init__(self, fetch: Fetch[Key], max_batch: int) -> None:
        """fetch: takes distinct keys and returns float32[len(keys), embedding_dim] in their order."""
        self._fetch = fetch
        self._max_batch = max_batch
        self._queued: dict[Key, list[asyncio.Future[np.ndarray]]] = {}  # in order of arrival
        self._in_progress: dict[Key, list[asyncio.Future[np.ndarray]]] = {}  # keys of the batch that is being fetched
        self._task: asyncio.Task[None] | None = None  # fetches a batch; None while none is being fetched

    @property
    def is_fetching(self) -> bool:
        return self._task is not None

    def is_queued(self, key: Key) -> bool:
        """Whether the key waits for its batch to be fetched."""
        return key in self._queued

    def submit(self, keys: Sequence[Key]) -> dict[Key, asyncio.Future[np.ndarray]]:
        """Ask for the keys, and return the future embedding of each, float32[embedding_dim].

        A future raises whatever `fetch` raises. It is the caller's own, who may cancel it or give it an outcome: that
        changes nothing for others who ask for the same key.
        """
        futures = {key: self._future(key) for key in keys}
        asyncio.get_running_loop().call_soon(self._start_next_batch)  # calls of the same turn share a batch
        return futures

    def _future(self, key: Key) -> asyncio.Future[np.ndarray]:
        future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        waiting = self._in_progress.get(key) or self._queued.setdefault(key, [])
        waiting.append(future)
        return future

    def _start_next_batch(self) -> None:
        """Start to fetch the queued keys. Does nothing while a batch is being fetched: its end starts the next one."""
        if self._queued and self._task is None:
            self._task = asyncio.create_task(self._fetch_batch())
            self._task.add_done_callback(self._end_batch)

    def _end_batch(self, task: asyncio.Task[None]) -> None:
        self._task = None
        self._start_next_batch()

    async def _fetch_batch(self) -> None:
        """Fetch what is queued by now, which a call that comes before this starts can still join."""
        batch = {key: self._queued.pop(key) for key in list(self._queued)[: self._max_batch]}
        self._in_progress.update(batch)
        try:
            embeddings = await self._fetch(list(batch))
        except Exception as error:
            fail(chain.from_iterable(batch.values()), error)
        else:
            for waiting, embedding in zip(batch.values(), embeddings, strict=True):
                for future in waiting:
                    succeed(future, embedding)
        finally:
            for key in batch:
                del self._in_progress[key]
