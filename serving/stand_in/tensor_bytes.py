"""Protobuf's and TensorFlow's byte forms, where going through Python values would cost more than the call."""

from __future__ import annotations

import numpy as np


def packed(field: int, content: bytes) -> bytes:
    """A packed repeated field of fixed-width numbers, which are `content`, little-endian."""
    return b"".join((varint(field << 3 | 2), varint(len(content)), content))


def strings_to_content(array: np.ndarray) -> bytes:
    """`tensor_content` of strings: their lengths, then their bytes."""
    strings = array.ravel().tolist()
    return b"".join((*(varint(len(string)) for string in strings), *strings))


def strings_from_content(content: bytes, count: int) -> list[bytes]:
    """Raises ValueError unless the content is that of `count` strings."""
    at = 0
    lengths = []
    for _ in range(count):
        length, at = _read_varint(content, at)
        lengths.append(length)
    if at + sum(lengths) != len(content):
        raise ValueError(f"{len(content)} bytes for strings that take {at + sum(lengths)}")
    strings = []
    for length in lengths:
        strings.append(content[at : at + length])
        at += length
    return strings


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    """(number, position after it)"""
    number = shift = 0
    while at < len(content):
        byte = content[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise ValueError("the lengths of the strings run past the end")
