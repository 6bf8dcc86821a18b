"""Calibration: the cheapest way to search at which users lose almost nothing to an exact ranking."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from annoy import AnnoyIndex
from scipy import sparse

from protos.release.v1.calibrations import ANNOY, SCAN
from protos.release.v1.search import Effort, IndexedVectors, leading_components, search_is_worthwhile
from trainer.index.annoy_index import NUM_TREES, RECALL_K, ranking
from trainer.index.ranking import exact_ranking

TARGET_RECALL = 0.95  # every twentieth of the ten nearest may be missed, mostly the last of them
MAX_LOSS = 0.005  # share of recall@20 and ndcg@20 on the held-out part
LOSS_K = 20
LOWEST_EFFORT, EFFORT_RATIO = 200, 1.25  # of the geometric grid of efforts
SCAN_DIMS, SCAN_CANDIDATES = (32, 64, 96, 128), (50, 100, 200, 400)  # are tried in this order, the cheapest first
MEASURED_SEARCHES = 200  # tell the recall to a percent
MAX_TIMES_SLOWER = 3  # the index is preferred to a scan that is up to so many times faster


@dataclass(frozen=True)
class Queries:
    """Vectors to search with.

    vectors: float32[num_queries, d].  exclude: CSR[num_queries, num_movies], not to be found.
    losses: takes lists int32[num_queries, LOSS_K] and returns the shares of recall and of ndcg that they lose to exact
        lists on a held-out part; None if there is none.
    """

    vectors: np.ndarray
    exclude: sparse.csr_matrix
    losses: Callable[[np.ndarray], tuple[float, float]] | None = None


@dataclass(frozen=True)
class Setting:
    """One way to search, and what was measured of it: recall@RECALL_K and the median microseconds of a query.

    search_k: of the index, 0 for a scan.  scan_dims, scan_candidates: of a scan, 0 for the index.
    """

    search_k: int
    scan_dims: int
    scan_candidates: int
    recall: float
    latency_us: float


@dataclass(frozen=True)
class Calibration:
    """How one kind of query is searched for.

    engine: ANNOY or SCAN.  index, scan: the cheapest setting of each that is good enough, or else the best.
    curve: every setting that was measured.
    recall_loss, ndcg_loss: of the engine, as shares of the exact figures on a held-out part; 0 without one.
    """

    engine: str
    index: Setting
    scan: Setting
    curve: list[Setting]
    recall_loss: float
    ndcg_loss: float

    @property
    def chosen(self) -> Setting:
        return self.index if self.engine == ANNOY else self.scan

    @property
    def effort(self) -> Effort:
        return Effort(self.engine == ANNOY, self.index.search_k)


def indexed(vectors: np.ndarray, index: AnnoyIndex, scan_dims: int, scan_candidates: int) -> IndexedVectors:
    """The vectors, their index and the setting of scans, as a service holds them.

    vectors: float32[num_movies, d], which the index was built from.
    """
    return IndexedVectors(vectors, index, leading_components(vectors, scan_dims), scan_candidates, RECALL_K)


def calibrate(
    vectors: np.ndarray,
    index: AnnoyIndex,
    kinds: Sequence[Queries],
    cheapest: bool,
    sufficed: Sequence[Calibration] = (),
) -> list[Calibration]:
    """Calibrate for each kind of query. They share the setting of scans, which is good enough for all of them.

    vectors: float32[num_movies, d], unit rows, which the index was built from.
    cheapest: choose the faster engine; if false, the index unless it is over MAX_TIMES_SLOWER times slower.
    sufficed: on a held-out part, for each kind; less effort and smaller scans are not tried. Empty tries all.
    """
    exact = [exact_ranking(queries.vectors, vectors, queries.exclude, RECALL_K) for queries in kinds]
    scans = _calibrate_scan(vectors, index, kinds, exact, sufficed)
    movies = indexed(vectors, index, scans[-1][0].scan_dims, scans[-1][0].scan_candidates)
    lowest = [calibration.index.search_k for calibration in sufficed] or [LOWEST_EFFORT] * len(kinds)
    calibrations = []
    for number, (queries, nearest_rows, least) in enumerate(zip(kinds, exact, lowest, strict=True)):
        of_index = _calibrate_index(movies, queries, nearest_rows, least)
        scan_curve = [settings[number] for settings in scans]
        times_slower = of_index[-1].latency_us / scan_curve[-1].latency_us
        is_good = of_index[-1].recall >= TARGET_RECALL and search_is_worthwhile(movies, of_index[-1].search_k, RECALL_K)
        engine = ANNOY if is_good and times_slower <= (1 if cheapest else MAX_TIMES_SLOWER) else SCAN
        calibration = Calibration(engine, of_index[-1], scan_curve[-1], [*of_index, *scan_curve], 0.0, 0.0)
        if queries.losses is not None:
            found, _ = ranking(movies, calibration.effort, queries.vectors, queries.exclude, LOSS_K)
            recall_loss, ndcg_loss = queries.losses(found)
            calibration = replace(calibration, recall_loss=recall_loss, ndcg_loss=ndcg_loss)
        calibrations.append(calibration)
    return calibrations


def _calibrate_scan(
    vectors: np.ndarray,
    index: AnnoyIndex,
    kinds: Sequence[Queries],
    exact: Sequence[np.ndarray],
    sufficed: Sequence[Calibration],
) -> list[list[Setting]]:
    """Return the settings that were measured, one for each kind; the last ones are good enough for all kinds."""
    dim, scan = vectors.shape[1], Effort(uses_index=False, search_k=0)
    measured = []
    grid = [*itertools.product((dims for dims in SCAN_DIMS if dims < dim), SCAN_CANDIDATES), (dim, RECALL_K)]
    # The vectors may have other dimensions than those on the held-out part; an exact scan of those stays an exact one.
    scanned = [(calibration.scan.scan_dims, calibration.scan.scan_candidates) for calibration in sufficed]
    smallest = next((n for n, pair in enumerate(grid) if pair in scanned), len(grid) - 1 if scanned else 0)
    for scan_dims, candidates in grid[smallest:]:  # the last is an exact scan
        movies = indexed(vectors, index, scan_dims, candidates)
        settings = []
        for queries, nearest_rows in zip(kinds, exact, strict=True):
            recall, latency_us = _measure(movies, scan, queries, nearest_rows)
            settings.append(Setting(0, scan_dims, candidates, recall, latency_us))
        measured.append(settings)
        if min(setting.recall for setting in settings) >= TARGET_RECALL and all(
            _loses_little(movies, scan, queries) for queries in kinds
        ):
            break
    return measured


def _calibrate_index(movies: IndexedVectors, queries: Queries, nearest_rows: np.ndarray, least: int) -> list[Setting]:
    """Raise the effort until the index is good enough, or a scan would answer instead; return what was measured."""
    curve: list[Setting] = []
    for search_k in _efforts(len(movies.vectors), least):
        effort = Effort(uses_index=True, search_k=search_k)
        recall, latency_us = _measure(movies, effort, queries, nearest_rows)
        curve.append(Setting(search_k, 0, 0, recall, latency_us))
        is_good = recall >= TARGET_RECALL and _loses_little(movies, effort, queries)
        if is_good or not search_is_worthwhile(movies, search_k, RECALL_K):
            break
    return curve


def _measure(movies: IndexedVectors, effort: Effort, queries: Queries, nearest_rows: np.ndarray) -> tuple[float, float]:
    """Return (recall@RECALL_K, median microseconds of a query), of the first queries."""
    first = slice(MEASURED_SEARCHES)
    found, seconds = ranking(movies, effort, queries.vectors[first], queries.exclude[first], RECALL_K)
    return _recall(found, nearest_rows[first]), float(np.median(seconds)) * 1e6


def _loses_little(movies: IndexedVectors, effort: Effort, queries: Queries) -> bool:
    if queries.losses is None:
        return True
    found, _ = ranking(movies, effort, queries.vectors, queries.exclude, LOSS_K)
    return max(queries.losses(found)) <= MAX_LOSS


def _efforts(num_movies: int, least: int) -> Iterator[int]:
    """Yield the search_k to try: a geometric grid from `least` to a last value that visits every leaf of every tree."""
    search_k = least
    while search_k < num_movies * NUM_TREES:
        yield search_k
        search_k = int(search_k * EFFORT_RATIO)
    yield num_movies * NUM_TREES


def _recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the mean share of the exact rows that were found; 1 if no query has an exact row.

    found, exact: int32[num_queries, RECALL_K], −1 for none.
    """
    is_row = exact >= 0  # bool[num_queries, RECALL_K]
    is_found = (exact[:, :, None] == found[:, None, :]).any(axis=2) & is_row
    num_rows = is_row.sum(axis=1)
    has_rows = num_rows > 0
    return float((is_found.sum(axis=1)[has_rows] / num_rows[has_rows]).mean()) if has_rows.any() else 1.0
