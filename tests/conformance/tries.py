"""Attempts that are repeated because they depend on calls being made at the right moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

TRIES = 5

Outcome = TypeVar("Outcome")


def tried(attempt: Callable[[], Outcome], good: Callable[[Outcome], bool]) -> Outcome:
    """The outcome of an attempt, repeated until it is good, but not more often than TRIES times in all.

    On a busy machine a call may stall for seconds, and so come too late for what the attempt is to show.
    """
    for _ in range(TRIES - 1):
        outcome = attempt()
        if good(outcome):
            return outcome
    return attempt()
