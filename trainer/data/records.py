"""Lines of text files as fields, with line numbers for errors."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

INT64 = np.iinfo(np.int64)
_INTEGER = re.compile(r"\s*[+-]?\d+\s*")


class DataError(ValueError):
    """The data cannot be used as they are: names the file, the line, what was expected and what came."""


def records(path: Path, separator: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """(1-based line, fields) of every non-blank record; "," means CSV with quotes.

    Raises DataError for text that is not in the encoding.
    """
    try:
        with path.open(encoding=encoding, newline="") as file:
            if separator == ",":
                reader = csv.reader(file)
                for fields in reader:
                    if fields:
                        yield reader.line_num, fields
            else:
                for line, text in enumerate(file, start=1):
                    if text.strip():
                        yield line, text.rstrip("\r\n").split(separator)
    except UnicodeDecodeError:
        raise _encoding_error(path, encoding) from None


def is_int64(text: str) -> bool:
    """Whether the text is a decimal integer that fits 64 bits."""
    return _INTEGER.fullmatch(text) is not None and INT64.min <= int(text) <= INT64.max


def _encoding_error(path: Path, encoding: str) -> DataError:
    content = path.read_bytes()  # the reader's own error counts from the start of its buffer
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return DataError(f"{path}:{line}: expected text in UTF-8, got byte 0x{content[error.start]:02x}")
    return DataError(f"{path}: changed while it was read")
