"""Outcomes of futures of which whoever waits may have left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


def succeed(future: asyncio.Future[Result], result: Result) -> None:
    """Give the future this result, unless it has an outcome."""
    if not future.done():
        future.set_result(result)


def fail(futures: Iterable[asyncio.Future[Any]], error: Exception | type[Exception]) -> None:
    """Let the futures that have no outcome raise this error."""
    for future in futures:
        if not future.done():
            future.set_exception(error)
            future.exception()  # if nobody waits, asyncio would complain about an error that is not read
