"""Ranks the movies of one page: those that follow where the page before ended.

Pages are ranked exactly, because an index finds another list for each length. A page costs one scan of all movies,
however deep in the list it is.
"""

from __future__ import annotations

import asyncio

import numpy as np

from protos.release.v1.search import best
from recommender_service.page_tokens import Cursor
from recommender_service.release import Release

LONG_SCAN = 2_000_000  # numbers; multiplying so many takes half a millisecond

Page = tuple[list[int], list[float], bool]
"""(rows, scores, whether more movies follow)"""


async def nearest_page(
    vectors: np.ndarray,
    query: np.ndarray,
    limit: int,
    excluded_rows: np.ndarray,
    qualifying: np.ndarray | None,
    after: Cursor | None,
) -> Page:
    """The movies that are nearest to a vector after those of the pages before, nearest first, equal ones by row.

    vectors, query, excluded_rows, qualifying: as for `nearest`.  after: None for the first page.
    """
    arguments = (vectors, query, limit, excluded_rows, qualifying, after)
    if vectors.size > LONG_SCAN:
        return await asyncio.to_thread(_nearest_page, *arguments)
    return _nearest_page(*arguments)


def _nearest_page(
    vectors: np.ndarray,
    query: np.ndarray,
    limit: int,
    excluded_rows: np.ndarray,
    qualifying: np.ndarray | None,
    after: Cursor | None,
) -> Page:
    scores = vectors @ query  # float32[num_trained_movies]
    left = np.ones(len(vectors), np.bool_) if qualifying is None else qualifying[: len(vectors)].copy()
    left[excluded_rows[excluded_rows < len(vectors)]] = False
    if after is not None:
        left &= (scores < after.score) | ((scores == after.score) & (np.arange(len(vectors)) > after.row))
    rows = np.flatnonzero(left)
    found, found_scores = best(rows, scores[rows], limit)
    return found, found_scores, len(rows) > limit


def popular_page(
    release: Release, limit: int, excluded_rows: np.ndarray, qualifying: np.ndarray | None, after: Cursor | None
) -> Page:
    """The most popular movies after those of the pages before, with the shares of users who liked them."""
    rows = release.popular_rows
    if after is not None:
        rows = rows[np.cumsum(rows == after.row) > 0][1:]  # none follow a row that is not among them
    if qualifying is not None:
        rows = rows[qualifying[rows]]
    rows = rows[~np.isin(rows, excluded_rows)]
    return rows[:limit].tolist(), release.liked_share[rows[:limit]].tolist(), len(rows) > limit
