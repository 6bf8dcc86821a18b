"""The file of tokens: who may call which RPC.

Each line names a caller, the SHA-256 of a token in hexadecimal digits, and the RPCs it is good for:

    # caller    SHA-256 of the token    RPCs
    web         9f86d081…               Recommend,SimilarMovies
    on-call     60303ae2…               *

`*` stands for all RPCs and reflection. A caller may have several lines, so that a new token can take an old one's place
while both are in use. Whoever reads the file learns no token from it.

This module must not import grpc, because the supervisor uses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from protos.recommender.v1 import recommender_pb2

REFLECTION = "Reflection"
METHODS = frozenset(
    [method.name for method in recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"].methods] + [REFLECTION]
)
CALLER = re.compile(r"[\w.@/-]{1,64}", re.ASCII)
SHA_256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class Grant:
    """What a token is good for.  digest: SHA-256 of the token, 32 bytes.  methods: names of RPCs, or REFLECTION."""

    caller: str
    digest: bytes
    methods: frozenset[str]


def parse_grants(name: str, content: bytes) -> list[Grant]:
    """The grants in a file of tokens, at least one.

    name: of the file, for messages.
    Raises ValueError, which names the line and says what was expected, but not what stands there: it may be a secret.
    """
    grants: list[Grant] = []
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
        fields = line.partition("#")[0].split()
        if fields:
            try:
                grants.append(_grant(fields, grants))
            except ValueError as error:
                raise ValueError(f"{name}:{number}: expected {error}") from None
    if not grants:
        raise ValueError(
            f"{name}: expected at least one line with a caller, the SHA-256 of a token, and RPCs; got none"
        )
    return grants


def _grant(fields: list[str], before: list[Grant]) -> Grant:
    if len(fields) != 3:
        raise ValueError(f"a caller, the SHA-256 of a token, and RPCs; got {len(fields)} of these three")
    caller, digest, listed = fields
    if not CALLER.fullmatch(caller):
        raise ValueError("a caller of at most 64 letters, digits and ._@/-")
    if not SHA_256.fullmatch(digest):
        raise ValueError(f"the SHA-256 of a token, 64 hexadecimal digits; got {len(digest)} characters that are none")
    if bytes.fromhex(digest) in [grant.digest for grant in before]:
        raise ValueError("a token on one line only; got one that an earlier line has")
    methods = METHODS if listed == "*" else frozenset(listed.split(","))
    if not methods <= METHODS:
        raise ValueError(f"RPCs, which are *, or names among {', '.join(sorted(METHODS))}, with commas between them")
    return Grant(caller, bytes.fromhex(digest), methods)
