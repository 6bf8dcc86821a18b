"""Ranks movies by nearness to a vector or by popularity. A list is only short if too few movies qualify."""

from __future__ import annotations

import math

import numpy as np

from protos.release.v1.effort import search_effort
from recommender_service.release import IndexedVectors, Release

MAX_REASONS = 3


def nearest(
    movies: IndexedVectors, query: np.ndarray, limit: int, excluded: np.ndarray, qualifying: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The trained movies nearest to a vector that qualify and are not excluded, nearest first.

    query: float32[dim of the movies' vectors], unit length.
    excluded, qualifying: bool[num_movies]; a `qualifying` of None lets all movies qualify.
    Returns (int rows, float32 cosines) of `limit` movies, or of all that are left if they are fewer.

    The index is searched with an effort in proportion to the length of the list. Once that effort reaches the number of
    movies that qualify, they are all scored instead, which is exact and costs no more.
    """
    num_trained = len(movies.vectors)
    removed = excluded[:num_trained]
    num_qualifying, num_removed = num_trained, int(np.count_nonzero(removed))
    if qualifying is not None:
        qualifying = qualifying[:num_trained]
        num_qualifying = int(np.count_nonzero(qualifying))
        num_removed = int(np.count_nonzero(removed & qualifying))
        removed = removed | ~qualifying
    limit = min(limit, num_qualifying - num_removed)
    if limit == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    found = _search(movies, query, limit, removed, limit + num_removed, num_qualifying)
    return found if found is not None else _scan(movies.vectors, query, limit, removed)


def most_popular(
    release: Release, limit: int, excluded: np.ndarray, qualifying: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The trained movies that most users liked, among those that qualify and are not excluded.

    excluded, qualifying: bool[num_movies]; a `qualifying` of None lets all movies qualify.
    Returns (int rows, float32 shares of the users who liked them), most liked first.
    """
    removed = excluded if qualifying is None else excluded | ~qualifying
    rows = release.popular_rows[~removed[release.popular_rows]][:limit]
    return rows, release.liked_share[rows]


def reasons(release: Release, rows: np.ndarray, liked_rows: np.ndarray) -> list[list[tuple[int, float]]]:
    """For each row, the liked movies nearest to it: up to MAX_REASONS pairs (row, cosine), without the movie itself.

    rows, liked_rows: int, of trained movies.
    """
    vectors = release.movie_embeddings.vectors
    cosines = vectors[rows] @ vectors[liked_rows].T  # float32[len(rows), len(liked_rows)]
    cosines[rows[:, None] == liked_rows] = -np.inf
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :MAX_REASONS]
    nearest_first = np.take_along_axis(cosines, order, axis=1)
    return [
        [(row, cosine) for row, cosine in zip(its_rows, its_cosines, strict=True) if cosine > -np.inf]
        for its_rows, its_cosines in zip(liked_rows[order].tolist(), nearest_first.tolist(), strict=True)
    ]


def _search(
    movies: IndexedVectors, query: np.ndarray, limit: int, removed: np.ndarray, depth: int, num_qualifying: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Search the index. Returns None if that would cost more than a scan, or if it does not find `limit` movies.

    depth: how many qualifying movies must be found in case all excluded ones are nearest.
    """
    share = num_qualifying / len(movies.vectors)
    # Movies that qualify are spread by chance over the neighbours: three standard deviations more are asked for.
    candidates = depth if share == 1 else math.ceil((depth + 3 * math.sqrt(depth)) / share)
    effort = search_effort(movies.search_k, movies.recall_k, limit / share, candidates)
    if effort >= num_qualifying:
        return None
    found, distances = movies.index.get_nns_by_vector(query, candidates, effort, include_distances=True)
    rows = np.array(found, np.int64)
    kept = ~removed[rows]
    rows = rows[kept][:limit]
    if len(rows) < limit:
        return None
    distance = np.array(distances, np.float32)[kept][:limit]
    return rows, 1 - distance * distance / 2  # the cosine, because all vectors have unit length


def _scan(vectors: np.ndarray, query: np.ndarray, limit: int, removed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Score every movie that is not removed; exact."""
    rows = np.flatnonzero(~removed)
    if 2 * len(rows) < len(vectors):
        return _best(rows, vectors[rows] @ query, limit)
    return _best(rows, (vectors @ query)[rows], limit)  # scoring all vectors costs less than copying most of them


def _best(rows: np.ndarray, scores: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `limit` rows with the highest scores and these scores, best first, equal scores in order of rows."""
    best = np.argpartition(scores, len(scores) - limit)[len(scores) - limit :]
    best = best[np.lexsort((rows[best], -scores[best]))]
    return rows[best], scores[best]
