"""What calibration measures of one way to search: the recall, the time, and what users lose by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from protos.release.v1.search import Effort
from protos.release.v1.vectors import IndexedVectors
from trainer.index.annoy_index import RECALL_K, ranking

MAX_LOSS = 0.003  # share of recall@20 and ndcg@20 on the held-out part, beyond what may be chance
LOSS_K = 20
MEASURED_SEARCHES = 200  # tell the recall to a percent
SEARCHES_IN_TURN = 20  # of one engine before those of the other, where the two are compared


@dataclass(frozen=True)
class Loss:
    """A share of a metric that is lost, below 0 if it is won, and its standard error."""

    share: float = 0.0
    error: float = 0.0


@dataclass(frozen=True)
class Queries:
    """Vectors to search with.

    vectors: float32[num_queries, d].  exclude: CSR[num_queries, num_movies], not to be found.
    losses: takes lists int32[num_queries, LOSS_K] and returns what they lose of recall and of ndcg to exact lists on a
        held-out part; None if there is none.
    """

    vectors: np.ndarray
    exclude: sparse.csr_matrix
    losses: Callable[[np.ndarray], tuple[Loss, Loss]] | None = None


def measure(movies: IndexedVectors, effort: Effort, queries: Queries, nearest_rows: np.ndarray) -> tuple[float, float]:
    """Return (recall@RECALL_K, median microseconds of a query), of the first queries.

    nearest_rows: int32[at most MEASURED_SEARCHES, RECALL_K], of these.
    """
    first = slice(MEASURED_SEARCHES)
    found, seconds = ranking(movies, effort, queries.vectors[first], queries.exclude[first], RECALL_K)
    return _recall(found, nearest_rows), float(np.median(seconds)) * 1e6


def times_slower(
    movies: IndexedVectors, queries: Queries, search_k: int, scan_candidates: int, scan_together: bool
) -> float:
    """How many times as long the index takes as a scan; they take turns, so that other programs slow down both.

    scan_together: whether the scans of a turn begin together, as those of calls that arrive together do.
    """
    seconds: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for start in range(0, MEASURED_SEARCHES, SEARCHES_IN_TURN):
        turn = slice(start, start + SEARCHES_IN_TURN)
        for uses_index, of_engine in seconds.items():
            effort = Effort(uses_index, search_k, scan_candidates)
            vectors, exclude = queries.vectors[turn], queries.exclude[turn]
            together = scan_together and not uses_index
            of_engine.append(ranking(movies, effort, vectors, exclude, RECALL_K, together)[1])
    index, scan = (np.median(np.concatenate(of_engine)) for of_engine in seconds.values())
    return float(index / scan)


def loses_little(movies: IndexedVectors, effort: Effort, queries: Queries) -> bool:
    """Whether lists lose at most MAX_LOSS of recall and of ndcg on the held-out part; true if there is none.

    A standard error more may be chance: with 600 users, a single one can make a percent.
    """
    if queries.losses is None:
        return True
    found, _ = ranking(movies, effort, queries.vectors, queries.exclude, LOSS_K)
    return all(loss.share - loss.error <= MAX_LOSS for loss in queries.losses(found))


def _recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the mean share of the exact rows that were found; 1 if no query has an exact row.

    found, exact: int32[num_queries, RECALL_K], −1 for none.
    """
    is_row = exact >= 0  # bool[num_queries, RECALL_K]
    is_found = (exact[:, :, None] == found[:, None, :]).any(axis=2) & is_row
    num_rows = is_row.sum(axis=1)
    has_rows = num_rows > 0
    return float((is_found.sum(axis=1)[has_rows] / num_rows[has_rows]).mean()) if has_rows.any() else 1.0
