"""Ranks movies for the requests of a batch, and encodes the results, making room for other calls in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.checks import check_answer_size
from recommender_service.errors import ServiceError
from recommender_service.movie_bytes import message_field
from recommender_service.recommendation import Embedding, Ranking, encoded, rank
from recommender_service.release import Release
from recommender_service.resolved_request import ResolvedRequest
from recommender_service.served_releases import ServedRelease
from recommender_service.turns import Turns

RESULTS = api.BatchRecommendResponse.RESULTS_FIELD_NUMBER
RESPONSE = api.BatchRecommendResponse.Result.RESPONSE_FIELD_NUMBER
ERROR = api.BatchRecommendResponse.Result.ERROR_FIELD_NUMBER


async def rankings_of(
    served: ServedRelease,
    requests: Sequence[ResolvedRequest],
    embeddings: Sequence[Embedding],
    degraded_answers: bool,
    turns: Turns,
) -> list[Ranking | ServiceError]:
    """For each request, its movies or the error that it ends with, searched for in memory."""
    scans = [served.scans.add(*pair) for pair in zip(requests, embeddings, strict=True)]
    known = deque(zip(embeddings, scans, strict=True))
    rankings: list[Ranking | ServiceError] = []
    for request in requests:
        embedding, scan = known.popleft()  # so that the scores of a scan go when they have been used
        try:
            scores = served.scans.begin(scan)
            rankings.append(rank(served.release, request, embedding, degraded_answers, scores))
        except ServiceError as error:
            rankings.append(error)
        await turns.pause()
    return rankings


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
