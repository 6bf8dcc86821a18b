"""Ranks movies for a resolved request, and encodes the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1.scans import StartedScan
from protos.release.v1.search import nearest
from recommender_service.errors import ModelServerUnavailable, ServiceError
from recommender_service.metrics import ANSWERS, FALLBACKS, NO_LIKES, UNKNOWN_USER
from recommender_service.ranking import most_popular, reasons
from recommender_service.release import Release, mean_direction
from recommender_service.resolved_request import ResolvedRequest, liked_rows_of
from recommender_service.user_embeddings.source import UserEmbeddings

MOVIES = api.RecommendResponse.MOVIES_FIELD_NUMBER
HEAVY_REASONS = 20_000  # recommended movies × liked movies; comparing so many pairs takes a millisecond or two

Embedding: TypeAlias = np.ndarray | ServiceError | None
"""float32[embedding_dim]; the error that came in its place; or None where a request needs no embedding."""

Taste: TypeAlias = tuple[api.Source, str, np.ndarray | None]
"""What a list is ranked by: (source, degraded_reason, float32[embedding_dim] or None for popularity)."""


class Ranking(NamedTuple):
    """The movies that answer a request, best first, and how they were chosen.

    degraded_reason: empty if nothing went wrong.
    reasons: for each movie, (row, cosine) of the liked ones nearest to it; None if they are still to be found.
    """

    source: api.Source
    degraded_reason: str
    rows: list[int]
    scores: list[float]
    reasons: list[list[tuple[int, float]]] | None = None


def rank(
    release: Release,
    request: ResolvedRequest,
    embedding: Embedding,
    degraded_answers: bool,
    scan: StartedScan | None = None,
) -> Ranking:
    """Rank movies for a request.  scan: as for `nearest`.

    Raises what `taste_of` raises.
    """
    source, degraded_reason, taste = taste_of(release, request, embedding, degraded_answers)
    if taste is None:
        rows, found_scores = most_popular(release, request.limit, request.excluded_rows, request.qualifying)
    else:
        effort = release.effort if source == api.SOURCE_PERSONALIZED else release.newcomer_effort
        excluded_rows, qualifying = request.excluded_rows, request.qualifying
        rows, found_scores = nearest(
            release.movie_embeddings, effort, taste, request.limit, excluded_rows, qualifying, scan
        )
    ANSWERS[source, bool(degraded_reason)] += 1
    return Ranking(source, degraded_reason, rows, found_scores)


def taste_of(
    release: Release,
    request: ResolvedRequest,
    embedding: Embedding,
    degraded_answers: bool,
    liked_vectors: np.ndarray | None = None,
) -> Taste:
    """What a list is ranked by.

    liked_vectors: float32[num_liked, embedding_dim], of the movies that the user likes; None if the release has them.
    Raises the error in the embedding's place, unless it is ModelServerUnavailable and `degraded_answers` is true.
    """
    if embedding is None:
        FALLBACKS[NO_LIKES if request.user >= 0 else UNKNOWN_USER] += 1
        return api.SOURCE_POPULAR, request.degraded_reason, None
    if isinstance(embedding, ServiceError):
        if not (degraded_answers and isinstance(embedding, ModelServerUnavailable)):
            raise embedding
        FALLBACKS[embedding.why] += 1
        degraded_reason = "; ".join(filter(None, [str(embedding), request.degraded_reason]))
        if liked_vectors is None:
            liked_vectors = release.movie_embeddings.vectors[liked_rows_of(release, request)]
        return api.SOURCE_FOLDED_IN, degraded_reason, mean_direction(liked_vectors)
    source = api.SOURCE_FOLDED_IN if request.fold_in_key else api.SOURCE_PERSONALIZED
    return source, request.degraded_reason, embedding


async def embeddings_of(
    user_embeddings: UserEmbeddings, requests: Sequence[ResolvedRequest], time_remaining_s: float | None
) -> list[Embedding]:
    """For each request, in order: float32[embedding_dim], the error in its place, or None if it needs no embedding."""
    user_ids = [request.user_id for request in requests if request.user_id is not None]
    fold_in_keys = [request.fold_in_key for request in requests if request.fold_in_key]
    if user_ids and fold_in_keys:
        looked_up, folded_in = await asyncio.gather(
            user_embeddings.by_user_id.get(user_ids, time_remaining_s),
            user_embeddings.by_fold_in_key.get(fold_in_keys, time_remaining_s),
        )
    else:  # asyncio.gather would start a task for each, which costs as much as the search for neighbours
        looked_up = await user_embeddings.by_user_id.get(user_ids, time_remaining_s) if user_ids else {}
        folded_in = await user_embeddings.by_fold_in_key.get(fold_in_keys, time_remaining_s) if fold_in_keys else {}
    embeddings: list[Embedding] = []
    for request in requests:
        if request.user_id is not None:
            embeddings.append(looked_up[request.user_id])
        elif request.fold_in_key:
            embeddings.append(folded_in[request.fold_in_key])
        else:
            embeddings.append(None)
    return embeddings


async def encoded(release: Release, request: ResolvedRequest, ranking: Ranking) -> bytes:
    """An encoded RecommendResponse; made by a thread if that would hold up other calls."""
    if _has_many_reasons(release, request, ranking):
        return await asyncio.to_thread(encode, release, request, ranking)
    return encode(release, request, ranking)


def encode(release: Release, request: ResolvedRequest, ranking: Ranking) -> bytes:
    """Encode the RecommendResponse, with reasons if the request asks for them."""
    response = _movies(release, request, ranking) + _source_and_release(ranking.source, release.version)
    if request.ignored_movie_ids or request.ignored_movie_keys or ranking.degraded_reason:
        response += api.RecommendResponse(
            ignored_movie_ids=request.ignored_movie_ids,
            ignored_movie_keys=request.ignored_movie_keys,
            degraded_reason=ranking.degraded_reason,
        ).SerializeToString()
    return response


@lru_cache
def _source_and_release(source: api.Source, version: int) -> bytes:
    """These two fields of a RecommendResponse, encoded: all that most answers have beside movies."""
    return api.RecommendResponse(source=source, release=version).SerializeToString()


def _has_many_reasons(release: Release, request: ResolvedRequest, ranking: Ranking) -> bool:
    """Whether `encode` takes so long that it would hold up other calls."""
    return (
        request.explain
        and ranking.reasons is None
        and request.limit * len(liked_rows_of(release, request)) > HEAVY_REASONS
    )


def _movies(release: Release, request: ResolvedRequest, ranking: Ranking) -> bytes:
    """The field `movies` of a RecommendResponse, encoded; with reasons if the request asks for them."""
    rows, scores, found = ranking.rows, ranking.scores, ranking.reasons
    if request.explain and rows:
        if found is None and len(liked := liked_rows_of(release, request)):
            vectors = release.movie_embeddings.vectors
            found = reasons(vectors[rows], vectors[liked], rows, liked)
        if found is not None:
            return release.movie_bytes.fields_with_reasons(MOVIES, rows, scores, found)
    return release.movie_bytes.fields(MOVIES, rows, scores)
