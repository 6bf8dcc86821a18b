"""Movies as parts of answers in protobuf's wire format, encoded once per release.

Encoding ten movies anew for each answer would cost more than finding them. A message is the concatenation of its
fields (protobuf.dev/programming-guides/encoding), so an answer is put together from bytes that are there already.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

from protos.recommender.v1 import recommender_pb2 as api

LENGTH_DELIMITED = 2  # wire type of messages, strings and bytes
REASON = api.ScoredMovie.REASONS_FIELD_NUMBER

_float = struct.Struct("<f").pack

Reasons = Sequence[tuple[int, float]]
"""(row, cosine) of the movies that speak for another, nearest first."""


class MovieBytes:
    """An encoded `ScoredMovie` for every movie of a release, complete but for the score.

    `Reason` is laid out like `ScoredMovie`: a movie in field 1 and a float in field 2. The same bytes serve both.
    """

    def __init__(self, movies: Sequence[api.Movie]) -> None:
        """movies: in row order."""
        # A score other than 0 is always written, in the last four bytes: field 2 follows field 1.
        self._scored = [api.ScoredMovie(movie=movie, score=1).SerializeToString()[:-4] for movie in movies]
        self._sized = [_varint(len(scored) + 4) + scored for scored in self._scored]

    def fields(self, number: int, rows: Sequence[int], scores: Sequence[float]) -> bytes:
        """The movies with their scores: an encoded repeated field of that number.  rows, scores: in the same order."""
        sized = self._sized
        return _tag(number).join([b"", *[sized[row] + _float(score) for row, score in zip(rows, scores, strict=True)]])

    def fields_with_reasons(
        self, number: int, rows: Sequence[int], scores: Sequence[float], reasons: Iterable[Reasons]
    ) -> bytes:
        """Encode the fields that `fields` encodes, each movie with its reasons."""
        fields = []
        for row, score, its_reasons in zip(rows, scores, reasons, strict=True):
            because, cosines = [row for row, _ in its_reasons], [cosine for _, cosine in its_reasons]
            scored = self._scored[row] + _float(score) + self.fields(REASON, because, cosines)
            fields.append(message_field(number, scored))
        return b"".join(fields)


def message_field(number: int, message: bytes) -> bytes:
    """An encoded message as the field of that number."""
    return _tag(number) + _varint(len(message)) + message


@cache
def _tag(number: int) -> bytes:
    return _varint(number << 3 | LENGTH_DELIMITED)


@lru_cache(1 << 12)
def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit of a byte says that more follow."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
