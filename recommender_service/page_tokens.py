"""Page tokens: where a page of a list ended, so that the next one follows without a gap or a repetition.

A token holds all that decides the order of the list: the release, and of what is ranked for a user the embedding that
the first page was ranked by. So neither a release that becomes active meanwhile, nor an event, nor the model server
changes the order between two pages, and every replica continues a list that another has begun.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from typing import NamedTuple, TypeAlias

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.errors import WRONG_PAGE_TOKEN, InvalidArgument

PagedRequest: TypeAlias = (
    api.RecommendRequest | api.SimilarMoviesRequest | api.SearchMoviesRequest | api.ListUserMoviesRequest
)

FREE_FIELDS = ("page_token", "limit", "release")  # may differ from page to page
NO_EMBEDDING = np.empty(0, np.float32)
LAYOUT = struct.Struct("<qi?id")
PURPOSE = b"page token 1"  # is to change with the layout
DIGEST_BYTES = 8
MAX_COMPONENT = 1.01  # of an embedding, whose length is 1


class Cursor(NamedTuple):
    """Where a page ended.

    release: its version.  source: of what is ranked for a user, else 0.
    is_degraded: whether the model server was away.
    row, score: the last movie's.
    embedding: float32, what the list is ranked by if the release does not tell it; else empty.
    """

    release: int
    source: int
    is_degraded: bool
    row: int
    score: float
    embedding: np.ndarray = NO_EMBEDDING


def cursor_of(request: PagedRequest) -> Cursor | None:
    """Where the page before the one that is asked for ended; None for the first page. Raises InvalidArgument."""
    token = request.page_token
    if not token:
        return None
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        digest, head = content[:DIGEST_BYTES], content[DIGEST_BYTES : DIGEST_BYTES + LAYOUT.size]
        release, source, is_degraded, row, score = LAYOUT.unpack(head)
        embedding = np.frombuffer(content[DIGEST_BYTES + LAYOUT.size :], "<f4")
    except (binascii.Error, ValueError, struct.error):
        raise _wrong(f"expected one of a response, got {token[:40]!r}") from None
    if digest != _digest(request, content[DIGEST_BYTES:]):
        problem = "expected one of a response to this request, which may only have another limit; got one of another"
        raise _wrong(problem)
    if request.release not in (0, release):
        raise _wrong(f"expected one of release {request.release}, got one of {release}")
    return Cursor(release, source, is_degraded, row, score, embedding)


def token_of(request: PagedRequest, cursor: Cursor) -> str:
    """The token that `cursor_of` reads."""
    body = LAYOUT.pack(*cursor[:-1]) + cursor.embedding.astype("<f4").tobytes()
    return base64.urlsafe_b64encode(_digest(request, body) + body).decode().rstrip("=")


def checked_embedding(cursor: Cursor, dim: int) -> np.ndarray | None:
    """The embedding that a user's list is ranked by, or None without one. Raises InvalidArgument.

    dim: of the release's embeddings.
    """
    is_popular = cursor.source == api.SOURCE_POPULAR
    fits = len(cursor.embedding) == (0 if is_popular else dim) and cursor.source in api.Source.values()
    if not fits or not (np.abs(cursor.embedding) < MAX_COMPONENT).all():  # nor is NaN
        raise _wrong("expected one of a response, got one that was made up")
    return None if is_popular else cursor.embedding


def _wrong(problem: str) -> InvalidArgument:
    return InvalidArgument("page_token", problem, WRONG_PAGE_TOKEN)


def _digest(request: PagedRequest, body: bytes) -> bytes:
    """What ties a token to its request. It is no secret: who makes a token up changes their own answer only."""
    bare = type(request).FromString(request.SerializeToString())
    for field in FREE_FIELDS:
        bare.ClearField(field)
    bound = request.DESCRIPTOR.name.encode() + bare.SerializeToString(deterministic=True)
    return hashlib.blake2b(body + bound, digest_size=DIGEST_BYTES, key=PURPOSE).digest()
