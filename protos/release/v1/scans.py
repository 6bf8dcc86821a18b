"""Scans: all movies are scored by their leading components, and the best of these by their whole vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from protos.release.v1.vectors import IndexedVectors

SAMPLED = 8  # one score of so many is looked at, to guess what the best ones have at least;
SPARE = 2  # so that the guess is seldom too high, it allows for so many times as many as are wanted


class StartedScan(NamedTuple):
    """The first half of a scan: what is best by the leading components.

    rows: int64[n], in any order, without excluded movies.  scores: float32[n], by the leading components.
    """

    rows: np.ndarray
    scores: np.ndarray


def start_scan(
    movies: IndexedVectors, query: np.ndarray, excluded_rows: np.ndarray, depth: int, qualifying: np.ndarray | None
) -> StartedScan:
    """Start the scan of one query.

    query: float32[dim].  excluded_rows: int, in any order, perhaps with repetitions.
    depth: how many movies the scan will rank by their whole vectors.
    qualifying: bool[num_trained_movies]; None lets all movies qualify.
    """
    scores = movies.leading @ query[: movies.leading.shape[1]]  # float32[num_trained_movies]
    scores[excluded_rows[excluded_rows < len(scores)]] = -np.inf
    if qualifying is not None:
        scores[~qualifying] = -np.inf
    return _best_of_all(scores, depth)


def start_scans(
    movies: IndexedVectors, queries: np.ndarray, excluded_rows: Sequence[np.ndarray], depth: int
) -> list[StartedScan]:
    """Start the scans of many queries, for which all movies qualify, in half the time that they take one by one.

    queries: float32[num_queries, dim].  excluded_rows: for each query, as for `start_scan`.
    depth: how many movies the scans will rank by their whole vectors, at most.
    """
    scores = queries[:, : movies.leading.shape[1]] @ movies.leading.T  # float32[num_queries, num_trained_movies]
    num_movies = scores.shape[1]
    rows, places = np.concatenate(excluded_rows), np.repeat(np.arange(len(queries)), list(map(len, excluded_rows)))
    is_trained = rows < num_movies
    scores[places[is_trained], rows[is_trained]] = -np.inf
    return [
        StartedScan(rows, of_query[rows]) if depth <= len(rows) < num_movies else _best_of_all(of_query, depth)
        for of_query, rows in zip(scores, _probably_best(scores, depth), strict=True)
    ]


def finish_scan(
    movies: IndexedVectors, scan: StartedScan, query: np.ndarray, depth: int, limit: int
) -> tuple[list[int], list[float]]:
    """Rank by their whole vectors the movies that are best by their leading components.

    depth: how many of them.  Returns (rows, cosines) of up to `limit` movies, nearest first.
    """
    rows, scores = scan
    if depth < len(rows):
        largest = _largest(scores, depth)
        rows, scores = rows[largest], scores[largest]
    is_whole = movies.leading.shape[1] == len(query)
    return best(rows, scores if is_whole else movies.vectors.take(rows, axis=0) @ query, limit)


def _probably_best(scores: np.ndarray, depth: int) -> list[np.ndarray]:
    """For each query the int64 rows of some movies: the best ones, probably more than `depth`; none if there are few.

    To select among these takes a third of what it takes among all.
    """
    num_queries, num_movies = scores.shape
    sample, wanted = scores[:, ::SAMPLED], SPARE * depth // SAMPLED + 1
    if wanted >= sample.shape[1]:
        return [np.empty(0, np.int64)] * num_queries
    place = sample.shape[1] - wanted
    least = np.partition(sample, place, axis=1)[:, place]
    found = np.flatnonzero(scores >= least[:, None])  # places in the whole array
    starts = np.arange(num_queries + 1) * num_movies
    bounds = found.searchsorted(starts).tolist()
    return [found[bounds[i] : bounds[i + 1]] - start for i, start in enumerate(starts[:-1].tolist())]


def _best_of_all(scores: np.ndarray, depth: int) -> StartedScan:
    """Select the `depth` best movies.  scores: float32[num_trained_movies]."""
    rows = _largest(scores, min(depth, len(scores)))
    rows = rows[scores[rows] > -np.inf]
    return StartedScan(rows, scores[rows])


def best(rows: np.ndarray, scores: np.ndarray, limit: int) -> tuple[list[int], list[float]]:
    """Return the `limit` rows with the highest scores and these scores, best first, equal scores in order of rows."""
    if limit < len(rows):
        largest = _largest(scores, limit)
        rows, scores = rows[largest], scores[largest]
    order = np.lexsort((rows, -scores))
    return rows[order].tolist(), scores[order].tolist()


def _largest(scores: np.ndarray, count: int) -> np.ndarray:
    """The int64 places of the `count` largest scores, in any order; `count` is at most their number."""
    places: np.ndarray = scores.argpartition(len(scores) - count)[len(scores) - count :]
    return places
