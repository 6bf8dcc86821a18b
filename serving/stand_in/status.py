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
        """The text for the answer: cut and marked after 1,024 characters; what is not UTF-8 in it shows as U+FFFD."""
        text = bytes_of(str(self)).decode(errors="replace")
        return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "...TRUNCATED"


def text_of(content: bytes) -> str:
    """A text for any bytes, be they UTF-8 or not; `bytes_of` turns it back into the same bytes."""
    return content.decode(errors="surrogateescape")


def bytes_of(text: str) -> bytes:
    """The bytes that a text from `text_of` stands for; the UTF-8 of any other text."""
    return text.encode(errors="surrogateescape")


def invalid_argument(message: str) -> StatusError:
    """The error for a request that is itself wrong."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)
