"""Counts calls of Recommend while a canary is served, so that it can be compared with the active release."""

from __future__ import annotations

import time
from collections.abc import Awaitable

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.errors import ServiceError
from recommender_service.metrics import CANARY, RELEASE_ANSWERS, RELEASE_CALLS, STABLE


async def counted(answer: Awaitable[bytes], is_canary: bool) -> bytes:
    """Await an encoded RecommendResponse, and count it.  is_canary: whether the canary gives it."""
    start, release = time.perf_counter(), CANARY if is_canary else STABLE
    try:
        encoded = await answer
    except Exception as error:
        code = error.code.name if isinstance(error, ServiceError) else "INTERNAL"
        RELEASE_CALLS[release].add(code, time.perf_counter() - start)
        raise
    RELEASE_CALLS[release].add("OK", time.perf_counter() - start)
    response = api.RecommendResponse.FromString(encoded)
    RELEASE_ANSWERS[release, response.source, bool(response.degraded_reason)] += 1
    return encoded
