"""Ranks one page of a recommendation, by what the first page was ranked by."""

from __future__ import annotations

from typing import cast

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.metrics import ANSWERS
from recommender_service.page_tokens import NO_EMBEDDING, Cursor, checked_embedding
from recommender_service.pages import Page, nearest_page, popular_page
from recommender_service.recommendation import Ranking, Taste
from recommender_service.release import Release
from recommender_service.resolved_request import ResolvedRequest

BEGAN_DEGRADED = "the first page was ranked while the model server could not be asked; ask for it again"


def taste_of_page(release: Release, request: ResolvedRequest, after: Cursor) -> Taste:
    """What a later page is ranked by.  Raises InvalidArgument.  after: where the page before ended."""
    began_degraded = BEGAN_DEGRADED if after.is_degraded else ""
    degraded_reason = "; ".join(filter(None, [began_degraded, request.degraded_reason]))
    embedding = checked_embedding(after, release.manifest.embedding_dim)
    return cast("api.Source", after.source), degraded_reason, embedding


async def recommended_page(
    release: Release, request: ResolvedRequest, taste: Taste, after: Cursor | None
) -> tuple[Ranking, Cursor | None]:
    """Return (the page, where it ends or None if it is the last one).  after: None for the first page."""
    embedding, excluded, qualifying = taste[2], request.excluded_rows, request.qualifying
    if embedding is None:
        page = popular_page(release, request.limit, excluded, qualifying, after)
    else:
        vectors = release.movie_embeddings.vectors
        page = await nearest_page(vectors, embedding, request.limit, excluded, qualifying, after)
    return page_and_cursor(release, request, taste, page)


def page_and_cursor(
    release: Release, request: ResolvedRequest, taste: Taste, page: Page
) -> tuple[Ranking, Cursor | None]:
    """Return (the page as an answer; where it ends, or None if it is the last one), and count the answer."""
    source, degraded_reason, embedding = taste
    rows, scores, more = page
    ANSWERS[source, bool(degraded_reason)] += 1
    ranking = Ranking(source, degraded_reason, rows, scores)
    if not more:
        return ranking, None
    is_degraded = degraded_reason != request.degraded_reason
    ranked_by = NO_EMBEDDING if embedding is None else embedding
    return ranking, Cursor(release.version, source, is_degraded, rows[-1], scores[-1], ranked_by)
