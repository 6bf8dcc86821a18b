"""What a batch, and a request of one, may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.checks import check_limit
from recommender_service.errors import FIELDS_EXCLUDE_EACH_OTHER, WRONG_PAGE_TOKEN, InvalidArgument

MAX_BATCH = 100
MAX_BATCH_MOVIES = 10_000  # with reasons, so many nearly fill the largest answer that clients accept by default


def check_batch(requests: Sequence[api.RecommendRequest]) -> None:
    """Check the number of requests and the sum of their limits. Raises InvalidArgument."""
    if len(requests) > MAX_BATCH:
        raise InvalidArgument("requests", f"expected at most {MAX_BATCH}, got {len(requests)}")
    movies = 0
    for request in requests:
        with suppress(InvalidArgument):  # is reported in the place of its request
            movies += check_limit(request.limit)
    if movies > MAX_BATCH_MOVIES:
        raise InvalidArgument("requests", f"expected limits that sum to at most {MAX_BATCH_MOVIES}, got {movies}")


def check_member(request: api.RecommendRequest, version: int) -> None:
    """Check what a request of a batch may not ask for. Raises InvalidArgument.  version: of the batch's release."""
    if request.release not in (0, version):
        problem = f"expected {version}, which answers the batch, or 0; got {request.release}"
        raise InvalidArgument("release", problem, FIELDS_EXCLUDE_EACH_OTHER)
    if request.HasField("page_token"):
        raise InvalidArgument("page_token", "expected none in a batch, got one", WRONG_PAGE_TOKEN)
