"""Encodes the results of a batch, making room for other calls in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.checks import check_answer_size
from recommender_service.errors import ServiceError
from recommender_service.movie_bytes import message_field
from recommender_service.recommendation import Ranking, encoded
from recommender_service.release import Release
from recommender_service.resolved_request import ResolvedRequest
from recommender_service.turns import Turns

RESULTS = api.BatchRecommendResponse.RESULTS_FIELD_NUMBER
RESPONSE = api.BatchRecommendResponse.Result.RESPONSE_FIELD_NUMBER
ERROR = api.BatchRecommendResponse.Result.ERROR_FIELD_NUMBER


async def encoded_results(
    release: Release,
    entries: Sequence[ResolvedRequest | ServiceError],
    rankings: Iterator[Ranking | ServiceError],
    turns: Turns,
) -> list[bytes]:
    """For each entry, the encoded field `results`. Raises InvalidArgument if it would be too large.

    rankings: of the resolved requests, in order.
    """
    results, num_bytes = [], 0
    for entry in entries:
        ranking = entry if isinstance(entry, ServiceError) else next(rankings)
        if isinstance(ranking, Ranking) and isinstance(entry, ResolvedRequest):
            result = message_field(RESPONSE, await encoded(release, entry, ranking))
        elif isinstance(ranking, ServiceError):
            result = message_field(ERROR, ranking.status().SerializeToString())
        results.append(message_field(RESULTS, result))
        num_bytes += len(results[-1])
        check_answer_size("requests", num_bytes)
        await turns.pause()
    return results
