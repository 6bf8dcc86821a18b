"""Statuses with TensorFlow Serving's limits on messages."""

from __future__ import annotations

import grpc

MAX_MESSAGE = 1024
STATUS_OF_CODE = {code.value[0]: code for code in grpc.StatusCode}


class StatusError(Exception):
    """An answer other than OK."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def message(self) -> str:
        """At most 1,024 characters, then a mark."""
        text = str(self)
        return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "...TRUNCATED"


def invalid_argument(message: str) -> StatusError:
    """The request is at fault."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)
