"""Which keys of a micro-batcher are fetched together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from recommender_service.futures import fail
from recommender_service.user_embeddings.micro_batcher import MicroBatcher


def test_a_key_joins_until_fetching_starts() -> None:
    """What comes between the decision to fetch and the fetch itself shares the batch, and counts as queued."""
    batches: list[list[int]] = []
    was_queued: list[int] = []

    async def fetch(keys: Sequence[int]) -> np.ndarray:
        batches.append(list(keys))
        await asyncio.sleep(0)
        return np.array(keys, np.float32)[:, None]

    async def submit() -> None:
        batcher = MicroBatcher(fetch, max_batch=3)
        futures = batcher.submit([1, 2])

        def later() -> None:
            futures.update(batcher.submit([2, 3, 4]))
            was_queued.extend(key for key in (2, 3, 4) if batcher.is_queued(key))

        asyncio.get_running_loop().call_soon(later)  # behind the decision
        await asyncio.sleep(0)
        assert [await futures[key] for key in (1, 2, 3, 4)] == [[1], [2], [3], [4]]

    asyncio.run(submit())
    assert (batches, was_queued) == ([[1, 2, 3], [4]], [2, 3, 4])


def test_who_leaves_takes_nobody_along() -> None:
    """The third who asks for a key gets its answer, though one leaves before it is fetched and one meanwhile."""
    batches: list[list[int]] = []
    is_fetching = asyncio.Event()

    async def fetch(keys: Sequence[int]) -> np.ndarray:
        batches.append(list(keys))
        is_fetching.set()
        await asyncio.sleep(0.01)
        return np.array(keys, np.float32)[:, None]

    async def submit() -> None:
        batcher = MicroBatcher(fetch, max_batch=3)
        early, late, patient = (batcher.submit([1])[1] for _ in range(3))
        early.cancel()
        await is_fetching.wait()
        fail([late], TimeoutError())
        assert await patient == [1]
        assert early.cancelled()
        assert isinstance(late.exception(), TimeoutError)

    asyncio.run(submit())
    assert batches == [[1]]
