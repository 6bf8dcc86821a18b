"""How a release is searched for the movies nearest to a vector.

The recommender answers with this code. The trainer calibrates and measures with it too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import filterfalse, islice

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
    leading: float32[num_trained_movies, scan_dims], the leading components of the vectors, which find candidates; in
        Fortran order, which a multiplication by many queries reads twice as fast.
    index: Annoy over the same rows: over `indexed_vectors` of these, or else over the vectors; None if only scanned.
    recall_k: the length of list that efforts are calibrated for.
    """

    vectors: np.ndarray
    leading: np.ndarray
    index: AnnoyIndex | None
    recall_k: int

    @property
    def index_finds_candidates(self) -> bool:
        """Whether what the index finds is still to be ranked, because it knows the leading components only."""
        return self.index is not None and self.index.f != self.vectors.shape[1]


def leading_components(vectors: np.ndarray, scan_dims: int) -> np.ndarray:
    """float32[n, scan_dims], in Fortran order; the vectors themselves if they have no more or `scan_dims` is 0."""
    if not 0 < scan_dims < vectors.shape[1]:
        return vectors
    return np.asfortranarray(vectors[:, :scan_dims])


def indexed_vectors(vectors: np.ndarray, leading: np.ndarray) -> np.ndarray:
    """What an index is built over: float32[n, scan_dims + 1], the leading components and the length of the others.

    So all rows have unit length. To a query with 0 in the last place the nearest row by Euclidean distance is the one
    with the largest dot product of leading components (Bachrach et al. 2014). The vectors themselves if there is at
    most one other component.
    """
    num_dims, scan_dims = vectors.shape[1], leading.shape[1]
    if scan_dims + 1 >= num_dims:
        return vectors
    rest = vectors[:, scan_dims:]
    lengths = np.sqrt(np.einsum("ij,ij->i", rest, rest))  # unlike np.linalg.norm, it makes no copy of the vectors
    return np.hstack([leading, lengths[:, None]], dtype=np.float32)


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
    scores: the query's row of `leading_scores`, which a scan overwrites, if a scan is known to answer; else None.
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
    if effort.uses_index and scores is None:
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
    assert movies.index is not None
    share = num_qualifying / len(movies.vectors)
    asked = _enough(limit, len(excluded_rows), share)
    search_k = _worthwhile_effort(movies, effort, limit, asked, share)
    if search_k is None:
        return None
    wanted, vector = limit, query.tolist()
    if movies.index_finds_candidates:
        wanted = scan_depth(effort.scan_candidates, movies.recall_k, limit)
        vector = [*vector[: movies.leading.shape[1]], 0.0]
        asked = max(asked, math.ceil(wanted / share))  # some that are excluded are among them: to ask for more is dear
    found = movies.index.get_nns_by_vector(vector, asked, search_k)
    left = filterfalse(set(excluded_rows.tolist()).__contains__, found)  # for so few movies numpy would take longer
    rows = list(islice(left if qualifying is None else filter(qualifying.__getitem__, left), wanted))
    if len(rows) < limit:
        return None
    ranked = np.array(rows)
    return _best(ranked, movies.vectors.take(ranked, axis=0) @ query, limit)


def _enough(wanted: int, num_excluded: int, share: float = 1.0) -> int:
    """For how many neighbours to ask so that `wanted` are left, even if the excluded movies are nearest.

    share: of the movies that qualify.
    """
    neighbours = wanted + num_excluded
    if share == 1:
        return neighbours
    # Movies that qualify are spread by chance over the neighbours: three standard deviations more are asked for.
    return math.ceil((neighbours + 3 * math.sqrt(neighbours)) / share)


def is_scanned(movies: IndexedVectors, effort: Effort, limit: int, num_excluded: int, num_together: int) -> bool:
    """Whether a scan answers a query for which all movies qualify, before the index is searched.

    num_together: as of `index_is_worthwhile`.
    """
    if not effort.uses_index:
        return True
    return _worthwhile_effort(movies, effort, limit, _enough(limit, num_excluded), num_together=num_together) is None


def _worthwhile_effort(
    movies: IndexedVectors, effort: Effort, limit: int, asked: int, share: float = 1.0, num_together: int = 1
) -> int | None:
    """Annoy's `search_k` for a list of `limit`; None if a scan answers it.

    asked: how many neighbours there must be for it.  share: of the movies that qualify.
    """
    search_k = search_effort(effort.search_k, movies.recall_k, limit / share, asked)
    is_worthwhile = search_is_worthwhile(movies, search_k, effort.scan_candidates, limit, num_together)
    return search_k if is_worthwhile else None


def search_is_worthwhile(
    movies: IndexedVectors, search_k: int, scan_candidates: int, limit: int, num_together: int = 1
) -> bool:
    """Whether the index answers a list of `limit` that takes this effort; if not, a scan does.

    scan_candidates: as of `Effort`.  num_together: as of `index_is_worthwhile`.
    """
    num_movies, dim = movies.vectors.shape
    depth = scan_depth(scan_candidates, movies.recall_k, limit)
    return index_is_worthwhile(search_k, num_movies, movies.leading.shape[1], depth, dim, num_together)


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
