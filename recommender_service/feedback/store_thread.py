"""A thread for calls of the event store, which may hang."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from recommender_service.futures import fail, succeed

Result = TypeVar("Result")


class StoreThread:
    """Runs functions one after the other. Unlike an executor's thread, it does not keep the process from ending."""

    def __init__(self, name: str) -> None:
        self._tasks: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def run(self, function: Callable[[], Result]) -> Result:
        """Return what the function returns, or raise what it raises. If this is cancelled, the function runs on."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._tasks.put((function, future))
        return await future

    def _run(self) -> None:
        while True:
            function, future = self._tasks.get()
            try:
                result = function()
            except Exception as error:
                future.get_loop().call_soon_threadsafe(fail, [future], error)
            else:
                future.get_loop().call_soon_threadsafe(succeed, future, result)
