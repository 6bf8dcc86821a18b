"""A circuit breaker: while a server is down, callers are refused at once instead of waiting for a time-out."""

from __future__ import annotations

import time

RETRY_S = 0.5  # short, because calls get personal answers again no sooner than a retry succeeds


class CircuitBreaker:
    """Decides whether a server may be asked.

    Closed: every attempt is allowed. Open, for RETRY_S after a failure: none is. Half open, after that: one attempt at
    a time is allowed, until one succeeds and closes the breaker or fails and opens it again.
    """

    def __init__(self) -> None:
        self._retry_at: float | None = None  # monotonic seconds; None while the breaker is closed

    def allows(self, attempt_in_progress: bool) -> bool:
        """Whether the server may be asked now.  attempt_in_progress: whether an earlier attempt is still unanswered."""
        if self._retry_at is None:
            return True
        return not attempt_in_progress and time.monotonic() >= self._retry_at

    def succeeded(self) -> None:
        """Record that the server answered; this closes the breaker."""
        self._retry_at = None

    def failed(self) -> None:
        """Record that the server failed; this opens the breaker."""
        self._retry_at = time.monotonic() + RETRY_S
