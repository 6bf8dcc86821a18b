"""How a release is searched for the movies nearest to a vector.

The recommender answers with this code. The trainer calibrates and measures with it too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import filterfalse, islice

import numpy as np

from protos.release.v1.effort import index_is_worthwhile, scan_depth, search_effort
from protos.release.v1.scans import StartedScan, best, finish_scan, start_scan
from protos.release.v1.vectors import IndexedVectors

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


def nearest(
    movies: IndexedVectors,
    effort: Effort,
    query: np.ndarray,
    limit: int,
    excluded_rows: np.ndarray,
    qualifying: np.ndarray | None = None,
    scan: StartedScan | None = None,
) -> tuple[list[int], list[float]]:
    """The trained movies nearest to a vector that qualify and are not excluded, nearest first.

    query: float32[dim of the movies' vectors], unit length.
    excluded_rows: int, in any order, perhaps with repetitions.
    qualifying: bool[num_movies]; None lets all movies qualify.
    scan: for this query, without the excluded movies, if a scan is known to answer and has been started; else None.
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
    if effort.uses_index and scan is None:
        found = _search(movies, effort, query, limit, excluded_rows, qualifying, num_qualifying)
        if found is not None:
            return found
    depth = scan_depth(effort.scan_candidates, movies.recall_k, limit)
    if scan is None:
        scan = start_scan(movies, query, excluded_rows, depth, qualifying)
    return finish_scan(movies, scan, query, depth, limit)


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
    return best(ranked, movies.vectors.take(ranked, axis=0) @ query, limit)


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


def _score_few(
    vectors: np.ndarray, query: np.ndarray, limit: int, excluded_rows: np.ndarray, qualifying: np.ndarray
) -> tuple[list[int], list[float]]:
    """Score the movies that qualify by their whole vectors; exact."""
    rows = np.flatnonzero(qualifying)
    rows = rows[~np.isin(rows, excluded_rows)]
    return best(rows, vectors[rows] @ query, limit)
