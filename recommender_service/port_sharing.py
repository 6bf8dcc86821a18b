"""How workers come to a port they share and leave it, so that callers do not notice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

from recommender_service.addresses import split

START_S = 5.0  # far longer than a release takes to load
CHECK_S = 0.2


async def wait_until_needed(address: str, became_active: asyncio.Event) -> None:
    """Return when this worker can answer, or when no other one can.

    If a worker that cannot answer listened, the kernel would give it a share of the connections.
    address: host:port that the workers share.  became_active: set when this worker has a release to answer from.
    """
    timeout_s = START_S
    while True:
        try:
            await asyncio.wait_for(became_active.wait(), timeout_s)
            return
        except TimeoutError:
            if not await _is_listening(address):
                return
            timeout_s = CHECK_S


async def _is_listening(address: str) -> bool:
    """Whether another worker listens, which it does when it can answer. A call would need a token or a certificate."""
    try:
        _, writer = await asyncio.open_connection(*split(address))
    except OSError:
        return False
    writer.close()
    return True


@contextmanager
def above_other_descriptors(count: int) -> Iterator[None]:
    """Give files that the block opens a higher number than the next `count` files that are opened after it.

    Linux closes the files of a killed process from the highest number down. If the highest is the socket that listens,
    a client that connects again when its connection ends does not reach the worker that is going.
    """
    taken = [os.open(os.devnull, os.O_RDONLY)]
    try:
        taken += [os.dup(taken[0]) for _ in range(count)]
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
