"""Answers other than OK, with TensorFlow Serving's limit on the length of messages."""

from __future__ import annotations

import grpc

MAX_MESSAGE = 1024  # characters
STATUS_OF_CODE = {code.value[0]: code for code in grpc.StatusCode}


class StatusError(Exception):
    """The answer to a call is a status other than OK."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def message(self) -> str:
        """The text; if it is longer than 1,024 characters, it is cut and marked."""
        text = str(self)
        return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "...TRUNCATED"


def invalid_argument(message: str) -> StatusError:
    """The error for a request that is itself wrong."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)
