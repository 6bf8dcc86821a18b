"""The signature of a manifest, which trainer and recommender both compute: HMAC-SHA256 with a key that they share.

The manifest holds the checksum of every other file of a release, so its signature covers them all. A key file has one
key per line. The trainer signs with the first; the recommender takes a signature by any of them, so that a new key can
take an old one's place while both are in use.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

MIN_KEY_BYTES = 32


def read_keys(path: Path) -> list[bytes]:
    """The keys in a key file, at least one.

    Raises OSError if it cannot be read, and ValueError, which says what was expected but not what the file holds, if a
    line is no key.
    """
    keys = path.read_bytes().split()
    if not keys or min(map(len, keys)) < MIN_KEY_BYTES:
        raise ValueError(f"{path}: expected a key of at least {MIN_KEY_BYTES} characters on each line")
    return keys


def sign(manifest: bytes, key: bytes) -> str:
    """The signature, 64 hexadecimal digits."""
    return hmac.new(key, manifest, hashlib.sha256).hexdigest()


def is_signed(manifest: bytes, signature: str, keys: Iterable[bytes]) -> bool:
    """Whether one of the keys made the signature."""
    given = signature.encode("utf-8")
    return any(hmac.compare_digest(given, sign(manifest, key).encode("ascii")) for key in keys)
