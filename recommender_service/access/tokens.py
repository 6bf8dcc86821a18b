"""Bearer tokens: checks that a call carries one, and that it is good for the RPC."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

import grpc

from recommender_service.access.token_file import Grant
from recommender_service.errors import NotAllowed, ServiceError, Unauthenticated, UnknownToken
from recommender_service.receiver import Receiver

SCHEME = "bearer "
FOUND_BY = 8  # bytes of a digest

Context = grpc.aio.ServicerContext[Any, Any]


class Tokens:
    """The tokens that are valid now."""

    def __init__(self, grants: Iterable[Grant]) -> None:
        self.use(grants)

    def use(self, grants: Iterable[Grant]) -> None:
        """Take these tokens and no others from now on."""
        # No caller can choose the digest of a token, so how long it takes to find one by its digest tells nothing.
        self._grants = {grant.digest[:FOUND_BY]: grant for grant in grants}

    def check(self, context: Context, method: str, receiver: Receiver) -> None:
        """Return if the call's token is good for the method.

        receiver: counts the call if it is refused, as nobody receives its request.
        Raises Unauthenticated or NotAllowed.
        """
        try:
            self._check(context, method)
        except ServiceError:
            receiver.num_calls += 1
            raise

    def _check(self, context: Context, method: str) -> None:
        given = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
        if len(given) != 1 or not isinstance(given[0], str) or given[0][: len(SCHEME)].lower() != SCHEME:
            raise Unauthenticated("expected one header `authorization: Bearer TOKEN`")
        digest = hashlib.sha256(given[0][len(SCHEME) :].strip().encode()).digest()
        grant = self._grants.get(digest[:FOUND_BY])
        if grant is None or not hmac.compare_digest(grant.digest, digest):
            raise UnknownToken("the token in the header `authorization` is not valid")
        if method not in grant.methods:
            raise NotAllowed(grant.caller, method)
