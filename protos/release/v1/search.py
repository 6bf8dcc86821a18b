"""How a release is searched for the movies nearest to a vector.

The recommender answers with this code. The trainer calibrates and measures with it too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from annoy import AnnoyIndex

from protos.release.v1.effort import index_is_worthwhile, scan_depth, search_effort

FEW_QUALIFY = 0.2  # below this share of the movies, copying their vectors costs less than a scan of all


@dataclass(frozen=True)
class Effort:
    """How thoroughly one kind of query is answered, as calibrated for lists of `recall_k` movies.

    uses_index: whether the index is searched if `index_is_worthwhile` says so; if false, a scan answers every query.
    search_k: Annoy's effort for a list of `recall_k`.
    scan_candidates: how many movies a scan scores by their whole vectors, for a list of `recall_k`.
    """

    uses_index: bool
    search_k: int
    scan_candidates: int


@dataclass(frozen=True)
class IndexedVectors:
    """A vector for each trained movie, and the two ways to find the nearest ones.

    vectors: float32[num_trained_movies, any], rows of unit length.
    index: Annoy over the same rows.
    leading: float32[num_trained_movies, scan_dims], the leading components of the vectors, which a scan looks at first.
    recall_k: the length of list that efforts are calibrated for.
    """

    vectors: np.ndarray
    index: AnnoyIndex
    leading: np.ndarray
    recall_k: int


def leading_components(vectors: np.ndarray, scan_dims: int) -> np.ndarray:
    """float32[n, scan_dims], contiguous; the vectors themselves if they have no more components or `scan_dims` is 0."""
    if not 0 < scan_dims < vectors.shape[1]:
        return vectors
    return np.ascontiguousarray(vectors[:, :scan_dims])


def leading_scores(movies: IndexedVectors, queries: np.ndarray) -> np.ndarray:
    """What scans begin with, for many queries: float32[num_queries, num_trained_movies], by the leading components.

    queries: float32[num_queries, dim].  For all queries together it costs less than half of what it costs one by one.
    """
    scores: np.ndarray = queries[:, : movies.leading.shape[1]] @ movies.leading.T
    return scores


def nearest(
    movies: IndexedVectors,
    effort: Effort,
    query: np.ndarray,
    limit: int,
    excluded_rows: np.ndarray,
    qualifying: np.ndarray | None = None,
    scores: np.ndarray | None = None,
) -> tuple[list[int], list[float]]:
    """The trained movies nearest to a vector that qualify and are not excluded, nearest first.

    query: float32[dim of the movies' vectors], unit length.
    excluded_rows: int, in any order, perhaps with repetitions.
    qualifying: bool[num_movies]; None lets all movies qualify.
    scores: the query's row of `leading_scores`, which a scan then overwrites; None if they are not there yet.
    Returns (rows, cosines) of `limit` movies, or of all that are left if they are fewer.

    The index is searched with an effort in proportion to the length of the list. Where that would cost much more than a
    scan, or does not find enough movies, vectors are scanned instead.
    """
    num_qualifying = len(movies.vectors)
    if qualifying is not None:
        qualifying = qualifying[: len(movies.vectors)]
        num_qualifying = int(np.count_nonzero(qualifying))
        if num_qualifying < FEW_QUALIFY * len(movies.vectors):
            return _score_few(movies.vectors, query, limit, excluded_rows, qualifying)
    if effort.uses_index:
        found = _search(movies, effort, query, limit, excluded_rows, qualifying, num_qualifying)
        if found is not None:
            return found
    if scores is None:
        scores = movies.leading @ query[: movies.leading.shape[1]]
    depth = scan_depth(effort.scan_candidates, movies.recall_k, limit)
    return _scan(movies, depth, scores, query, limit, excluded_rows, qualifying)


def _search(
    movies: IndexedVectors,
    effort: Effort,
    query: np.ndarray,
    limit: int,
    excluded_rows: np.ndarray,
    qualifying: np.ndarray | None,
    num_qualifying: int,
) -> tuple[list[int], list[float]] | None:
    """Search the index. Returns None if a scan would cost much less, or if the index does not find `limit` movies."""
    num_movies = len(movies.vectors)
    share = num_qualifying / num_movies
    candidates = limit + len(excluded_rows)  # enough, even if the excluded movies are nearest
    if qualifying is not None:
        # Movies that qualify are spread by chance over the neighbours: three standard deviations more are asked for.
        candidates = math.ceil((candidates + 3 * math.sqrt(candidates)) / share)
    search_k = search_effort(effort.search_k, movies.recall_k, limit / share, candidates)
    if not search_is_worthwhile(movies, search_k, effort.scan_candidates, limit):
        return None
    # From here on plain Python: for so few movies each call of numpy would cost more than the loop.
    found, distances = movies.index.get_nns_by_vector(query.tolist(), candidates, search_k, include_distances=True)
    excluded = set(excluded_rows.tolist())
    rows, cosines = [], []
    for row, distance in zip(found, distances, strict=True):
        if row not in excluded and (qualifying is None or qualifying[row]):
            rows.append(row)
            cosines.append(1 - distance * distance / 2)  # because all vectors have unit length
            if len(rows) == limit:
                return rows, cosines
    return None


def search_is_worthwhile(movies: IndexedVectors, search_k: int, scan_candidates: int, limit: int) -> bool:
    """Whether the index answers a list of `limit` that takes this effort; if not, a scan does.

    scan_candidates: as of `Effort`.
    """
    num_movies, dim = movies.vectors.shape
    depth = scan_depth(scan_candidates, movies.recall_k, limit)
    return index_is_worthwhile(search_k, num_movies, movies.leading.shape[1], depth, dim)


def _scan(
    movies: IndexedVectors,
    depth: int,
    scores: np.ndarray,
    query: np.ndarray,
    limit: int,
    excluded_rows: np.ndarray,
    qualifying: np.ndarray | None,
) -> tuple[list[int], list[float]]:
    """Rank the movies that are best by their leading components by their whole vectors.

    depth: how many of them.
    scores: float32[num_trained_movies], of all movies by their leading components; they are overwritten.
    """
    num_movies, scan_dims = movies.leading.shape
    scores[excluded_rows[excluded_rows < num_movies]] = -np.inf
    if qualifying is not None:
        scores[~qualifying] = -np.inf
    depth = min(depth, num_movies)
    rows = scores.argpartition(num_movies - depth)[num_movies - depth :]
    if qualifying is not None or len(excluded_rows) + depth > num_movies:  # else at least `depth` movies are left
        rows = rows[scores[rows] > -np.inf]
    exact = scores[rows] if scan_dims == len(query) else movies.vectors.take(rows, axis=0) @ query
    return _best(rows, exact, limit)


def _score_few(
    vectors: np.ndarray, query: np.ndarray, limit: int, excluded_rows: np.ndarray, qualifying: np.ndarray
) -> tuple[list[int], list[float]]:
    """Score the movies that qualify by their whole vectors; exact."""
    rows = np.flatnonzero(qualifying)
    rows = rows[~np.isin(rows, excluded_rows)]
    return _best(rows, vectors[rows] @ query, limit)


def _best(rows: np.ndarray, scores: np.ndarray, limit: int) -> tuple[list[int], list[float]]:
    """Return the `limit` rows with the highest scores and these scores, best first, equal scores in order of rows."""
    if limit < len(rows):
        best = scores.argpartition(len(scores) - limit)[len(scores) - limit :]
        rows, scores = rows[best], scores[best]
    order = np.lexsort((rows, -scores))
    return rows[order].tolist(), scores[order].tolist()
