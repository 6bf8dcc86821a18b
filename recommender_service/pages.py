"""Ranks the movies of one page: those that follow where the page before ended.

Pages are ranked exactly, because an index finds another list for each length. A page costs one scan of all movies,
however deep in the list it is.
"""

from __future__ import annotations

import asyncio

import numpy as np

from recommender_service.page_tokens import Cursor
from recommender_service.release import Release

MAX_ERROR = 2.0**-23  # of a float32 score, for each dimension: half of it for the sum (Higham 2002, 3.1)
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
    if qualifying is not None:
        scores[~qualifying[: len(vectors)]] = -np.inf
    scores[excluded_rows[excluded_rows < len(vectors)]] = -np.inf
    error, wanted = vectors.shape[1] * MAX_ERROR, limit + 1
    if after is not None:
        scores[scores > after.score + error] = -np.inf  # they were on the pages before
        wanted += int(np.count_nonzero(scores >= after.score - error))  # some of them were, too
    rows = np.flatnonzero(scores > -np.inf)
    if len(rows) > wanted:
        least = np.partition(scores[rows], len(rows) - wanted)[len(rows) - wanted]
        rows = rows[scores[rows] >= least - 2 * error]
    return page_of(rows, exact_scores(vectors[rows], query), limit, after)


def page_of(rows: np.ndarray, scores: np.ndarray, limit: int, after: Cursor | None) -> Page:
    """The movies after those of the pages before, the highest score first, equal ones by row.

    rows: int[n].  scores: float64[n], the same for every page.  after: None for the first page.
    """
    if after is not None:
        follows = (scores < after.score) | ((scores == after.score) & (rows > after.row))
        rows, scores = rows[follows], scores[follows]
    order = np.lexsort((rows, -scores))[:limit]
    return rows[order].tolist(), scores[order].tolist(), len(rows) > limit


def exact_scores(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """float64[n], the products of vectors and a query of length 1, without an error that depends on the order of sums.

    A sum of float32 differs in its last bits from call to call and from machine to machine, so that movies with nearly
    the same score would change places between two pages. Here the components are rounded to multiples of 2**-24: their
    products are multiples of 2**-48, and no sum of them has more bits than a float64 holds.
    """
    scores: np.ndarray = np.rint(vectors.astype(np.float64) * 2**24) @ np.rint(query.astype(np.float64) * 2**24)
    return scores / 2**48


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
