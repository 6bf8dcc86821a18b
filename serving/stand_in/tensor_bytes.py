"""Byte forms of tensors, written and read directly.

Going through lists of Python values would cost more than the rest of the call.
"""

from __future__ import annotations

import numpy as np


def packed(field: int, content: bytes) -> bytes:
    """A packed repeated protobuf field of fixed-width numbers.  content: the numbers, little-endian."""
    return b"".join((varint(field << 3 | 2), varint(len(content)), content))


def strings_to_content(array: np.ndarray) -> bytes:
    """`tensor_content` of an array of byte strings: first all lengths, then all bytes."""
    strings = array.ravel().tolist()
    return b"".join((*(varint(len(string)) for string in strings), *strings))


def strings_from_content(content: bytes, count: int) -> list[bytes]:
    """The byte strings in a `tensor_content`.  Raises ValueError unless there are `count`, and no bytes after them."""
    at = 0
    lengths = []
    for _ in range(count):
        length, at = _read_varint(content, at)
        lengths.append(length)
    if at + sum(lengths) != len(content):
        raise ValueError(f"expected {at + sum(lengths)} bytes, of {count} strings, got {len(content)}")
    strings = []
    for length in lengths:
        strings.append(content[at : at + length])
        at += length
    return strings


def varint(number: int) -> bytes:
    """A protobuf varint: seven bits in a byte, the lowest first; a byte's highest bit says that more bytes follow."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    """(number, position after it) of the varint at that position.  Raises ValueError if it does not end."""
    number = shift = 0
    while at < len(content):
        byte = content[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise ValueError(f"expected the lengths of strings, got {len(content)} bytes, which end within a length")
