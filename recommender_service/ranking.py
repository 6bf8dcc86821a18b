"""Which movies come first: neighbours of a vector, or popular ones; as many as asked for, if so many qualify."""

from __future__ import annotations

import math

import numpy as np

from protos.release.v1.effort import search_effort
from recommender_service.release import Release, Vectors

MAX_REASONS = 3


def nearest(
    movies: Vectors, query: np.ndarray, limit: int, excluded: np.ndarray, qualifying: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(int rows, float32 cosines) of the `limit` nearest trained movies that qualify and are not excluded.

    query: float32[dim of the movies' vectors], unit length.  excluded, qualifying: bool[num_movies]; None: all qualify.
    The effort is calibrated for lists of `recall_k`; longer lists get proportionally more, and once that reaches the
    number of movies that qualify, they are all scored instead, which is exact and no dearer.
    Fewer than `limit` only if fewer are left. Nearest first.
    """
    num_movies = len(movies.vectors)
    removed = excluded[:num_movies]
    num_qualifying, num_removed = num_movies, int(np.count_nonzero(removed))
    if qualifying is not None:
        qualifying = qualifying[:num_movies]
        num_qualifying = int(np.count_nonzero(qualifying))
        num_removed = int(np.count_nonzero(removed & qualifying))
        removed = removed | ~qualifying
    limit = min(limit, num_qualifying - num_removed)
    if limit == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    # enough even if what is excluded comes first; what qualifies is spread by chance, hence three deviations more
    wanted, share = limit + num_removed, num_qualifying / num_movies
    candidates = wanted if share == 1 else math.ceil((wanted + 3 * math.sqrt(wanted)) / share)
    effort = search_effort(movies.search_k, movies.recall_k, limit / share, candidates)
    if effort < num_qualifying:
        found, distances = movies.index.get_nns_by_vector(query, candidates, effort, include_distances=True)
        rows = np.array(found, np.int64)
        kept = ~removed[rows]
        rows = rows[kept][:limit]
        if len(rows) == limit:
            distance = np.array(distances, np.float32)[kept][:limit]
            return rows, 1 - distance * distance / 2  # both are of unit length
    rows = np.flatnonzero(~removed)
    if 2 * len(rows) < num_movies:
        return _best(rows, movies.vectors[rows] @ query, limit)
    return _best(rows, (movies.vectors @ query)[rows], limit)  # cheaper than to copy most of them


def most_popular(
    release: Release, limit: int, excluded: np.ndarray, qualifying: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(int rows, float32 share of users who liked them) of trained movies, most liked first.

    excluded, qualifying: bool[num_movies]; None: all qualify.
    """
    removed = excluded if qualifying is None else excluded | ~qualifying
    rows = release.popular_rows[~removed[release.popular_rows]][:limit]
    return rows, release.popularity[rows]


def reasons(release: Release, rows: np.ndarray, liked: np.ndarray) -> list[list[tuple[int, float]]]:
    """For each row: up to three (row, cosine) of the liked movies nearest to it, itself not among them.

    rows, liked: int, of trained movies.
    """
    cosines = release.embeddings.vectors[rows] @ release.embeddings.vectors[liked].T  # float32[len(rows), len(liked)]
    cosines[rows[:, None] == liked] = -np.inf
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :MAX_REASONS]
    nearest_first = np.take_along_axis(cosines, order, axis=1)
    return [
        [(row, cosine) for row, cosine in zip(its_rows, its_cosines, strict=True) if cosine > -np.inf]
        for its_rows, its_cosines in zip(liked[order].tolist(), nearest_first.tolist(), strict=True)
    ]


def _best(rows: np.ndarray, scores: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """The `limit` rows with the highest scores, best first, ties by row."""
    best = np.argpartition(scores, len(scores) - limit)[len(scores) - limit :]
    best = best[np.lexsort((rows[best], -scores[best]))]
    return rows[best], scores[best]
