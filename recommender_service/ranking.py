"""Ranks movies by popularity, and says which liked movies speak for a recommended one."""

from __future__ import annotations

import math

import numpy as np

from recommender_service.release import Release

MAX_REASONS = 3


def most_popular(
    release: Release, limit: int, excluded_rows: np.ndarray, qualifying: np.ndarray | None = None
) -> tuple[list[int], list[float]]:
    """The trained movies that most users liked, among those that qualify and are not excluded.

    excluded_rows, qualifying: as for `nearest`.
    Returns (rows, shares of the users who liked them), most liked first.
    """
    rows = release.popular_rows
    if qualifying is not None:
        rows = rows[qualifying[rows]]
    rows = rows[: limit + len(excluded_rows)]  # enough, even if the most popular ones are excluded
    rows = rows[~np.isin(rows, excluded_rows)][:limit]
    return rows.tolist(), release.liked_share[rows].tolist()


def reasons(
    vectors: np.ndarray, liked_vectors: np.ndarray, rows: list[int], liked_rows: np.ndarray
) -> list[list[tuple[int, float]]]:
    """For each row, the liked movies nearest to it: up to MAX_REASONS pairs (row, cosine), without the movie itself.

    vectors, liked_vectors: float32, the embeddings of the movies of `rows` and of `liked_rows`, at least one each.
    """
    cosines = vectors @ liked_vectors.T  # float32[len(rows), len(liked_rows)]
    cosines[np.array(rows)[:, None] == liked_rows] = -np.inf
    num_reasons = min(MAX_REASONS, len(liked_rows))
    best = np.argpartition(-cosines, num_reasons - 1, axis=1)[:, :num_reasons]
    order = np.argsort(-np.take_along_axis(cosines, best, axis=1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    nearest_first = np.take_along_axis(cosines, best, axis=1)
    return [
        [(row, cosine) for row, cosine in zip(its_rows, its_cosines, strict=True) if cosine > -math.inf]
        for its_rows, its_cosines in zip(liked_rows[best].tolist(), nearest_first.tolist(), strict=True)
    ]
