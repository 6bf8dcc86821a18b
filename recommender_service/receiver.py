"""Receives the requests of calls within a time limit.

gRPC sets no limit: a client that begins a request and never ends it would hold its memory for as long as it likes.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import grpc

from recommender_service.errors import ServiceError, Stopping, TooManyCalls, UnfinishedRequest, abort

MAX_REQUEST_BYTES = 1 << 20  # ten times what the longest allowed lists of ids take
RECEIVE_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 0.5  # for requests that are on their way when the service stops
MAX_UNFINISHED = 128  # requests, so they hold at most 128 MiB together
SWEEP_S = 0.25

Context = grpc.aio.ServicerContext[Any, Any]


class Receiver:
    """Knows which calls wait for their request, and ends those that wait too long."""

    def __init__(self) -> None:
        self._since: dict[Context, float] = {}  # monotonic seconds, the longest-waiting first
        self._timeout_s: float = RECEIVE_TIMEOUT_S
        self._late: ServiceError = UnfinishedRequest(RECEIVE_TIMEOUT_S)
        self._aborts: set[asyncio.Task[None]] = set()
        self.num_calls = 0  # that were seen, from the start

    async def receive(self, context: Context, is_first: bool = True) -> bytes | None:
        """The next message of a call, encoded; None if the client sends no more.

        is_first: whether it is the call's first message.
        Raises grpc.aio.AbortError if the call was ended meanwhile.
        """
        self.num_calls += is_first
        if len(self._since) >= MAX_UNFINISHED:
            oldest = next(iter(self._since))
            message = f"{MAX_UNFINISHED} requests are unfinished, the most allowed"
            self._end(oldest, TooManyCalls(message, "TOO_MANY_UNFINISHED_REQUESTS"))
        self._since[context] = time.monotonic()
        try:
            message = await context.read()
        finally:
            self._since.pop(context, None)
        return None if message is grpc.aio.EOF else bytes(message)

    async def run(self) -> None:
        """End calls whose request does not come in time, for ever."""
        while True:
            await asyncio.sleep(SWEEP_S)
            until = time.monotonic() - self._timeout_s
            for context in [context for context, since in self._since.items() if since <= until]:
                self._end(context, self._late)

    def stop(self) -> None:
        """Wait only shortly from now on."""
        self._timeout_s, self._late = STOP_TIMEOUT_S, Stopping()

    def _end(self, context: Context, error: ServiceError) -> None:
        del self._since[context]
        task = asyncio.create_task(_abort_quietly(context, error))
        self._aborts.add(task)
        task.add_done_callback(self._aborts.discard)


async def _abort_quietly(context: Context, error: ServiceError) -> None:
    with suppress(grpc.aio.AbortError):  # the call's own task raises it too
        await abort(context, error)


class UnknownMethods(grpc.GenericRpcHandler):
    """Is asked last, for methods that no service has. It has them neither, but it counts the calls."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> None:
        self._receiver.num_calls += 1
