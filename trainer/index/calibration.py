"""Calibration: the cheapest way to search at which users lose almost nothing to an exact ranking."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from protos.release.v1.calibrations import ANNOY, SCAN
from protos.release.v1.search import Effort, search_is_worthwhile
from protos.release.v1.vectors import IndexedVectors, indexed_vectors, leading_components
from trainer.index.annoy_index import NUM_TREES, RECALL_K, build_index, ranking
from trainer.index.measuring import LOSS_K, MEASURED_SEARCHES, Queries, loses_little, measure, times_slower
from trainer.index.ranking import exact_ranking

TARGET_RECALL = 0.95  # every twentieth of the ten nearest may be missed, mostly the last of them
LOWEST_EFFORT, EFFORT_RATIO = 200, 1.25  # of the geometric grid of efforts
SCAN_DIMS, SCAN_CANDIDATES = (32, 64, 96, 128), (50, 100, 200, 400)  # are tried in this order, the cheapest first
MAX_TIMES_SLOWER = 3  # the index is preferred to a scan that is up to so many times faster


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
    index_dims: leading components that the index finds candidates by; 0 if it is over whole vectors.
    curve: every setting that was measured.
    recall_loss, ndcg_loss: of the engine, as shares of the exact figures on a held-out part; 0 without one.
    """

    engine: str
    index: Setting
    index_dims: int
    scan: Setting
    curve: list[Setting]
    recall_loss: float
    ndcg_loss: float

    @property
    def chosen(self) -> Setting:
        return self.index if self.engine == ANNOY else self.scan

    @property
    def effort(self) -> Effort:
        return Effort(self.engine == ANNOY, self.index.search_k, self.scan.scan_candidates)


def calibrate(
    vectors: np.ndarray,
    index_file: Path,
    kinds: Sequence[Queries],
    cheapest: bool,
    sufficed: Sequence[Calibration] = (),
) -> tuple[IndexedVectors, list[Calibration]]:
    """Write an index over vectors, and calibrate for each kind of query; return what is searched, and how.

    Scans for all kinds find candidates by the same leading components. So does the index, unless one over whole vectors
    is good enough for more kinds.

    vectors: float32[num_movies, d], unit rows.
    cheapest: choose the engine that is faster when many calls arrive together; if false, the index unless it is over
        MAX_TIMES_SLOWER times slower than a lone scan.
    sufficed: on a held-out part, for each kind; less effort and smaller scans are not tried. Empty tries all.
    """
    first = slice(MEASURED_SEARCHES)
    exact = [exact_ranking(queries.vectors[first], vectors, queries.exclude[first], RECALL_K) for queries in kinds]
    scan_curves = _calibrate_scans(vectors, kinds, exact, [calibration.scan for calibration in sufficed])
    leading = leading_components(vectors, scan_curves[0][-1].scan_dims)
    items = indexed_vectors(vectors, leading)
    if items is not vectors and any(calibration.index_dims == 0 for calibration in sufficed):
        items = vectors  # less did not suffice
    searched = IndexedVectors(vectors, leading, build_index(items, index_file), RECALL_K)
    found = _calibrate_engines(searched, kinds, exact, scan_curves, cheapest, sufficed)
    if items is not vectors and _num_answered_by_index(found) < len(kinds):
        whole_file = index_file.with_name(f"{index_file.name}.whole")
        whole = IndexedVectors(vectors, leading, build_index(vectors, whole_file), RECALL_K)
        found_by_whole = _calibrate_engines(whole, kinds, exact, scan_curves, cheapest, sufficed)
        if _num_answered_by_index(found_by_whole) > _num_answered_by_index(found):
            searched, found = whole, found_by_whole
            whole_file.replace(index_file)
        whole_file.unlink(missing_ok=True)
    return searched, found


def _num_answered_by_index(calibrations: Sequence[Calibration]) -> int:
    return sum(calibration.engine == ANNOY for calibration in calibrations)


def _calibrate_engines(
    movies: IndexedVectors,
    kinds: Sequence[Queries],
    exact: Sequence[np.ndarray],
    scan_curves: Sequence[list[Setting]],
    cheapest: bool,
    sufficed: Sequence[Calibration],
) -> list[Calibration]:
    """Choose for each kind between the index and the scan that is the last of its curve."""
    index_dims = movies.leading.shape[1] if movies.index_finds_candidates else 0
    calibrations = []
    for number, (queries, nearest_rows, scan_curve) in enumerate(zip(kinds, exact, scan_curves, strict=True)):
        scan, least = scan_curve[-1], LOWEST_EFFORT
        if sufficed and bool(sufficed[number].index_dims) == bool(index_dims):
            least = sufficed[number].index.search_k
        index_setting, of_index = _calibrate_index(movies, queries, nearest_rows, least, scan.scan_candidates)
        is_good = index_setting.recall >= TARGET_RECALL and search_is_worthwhile(
            movies, index_setting.search_k, scan.scan_candidates, RECALL_K
        )
        engine = SCAN
        if is_good:
            slower = times_slower(movies, queries, index_setting.search_k, scan.scan_candidates, scan_together=cheapest)
            engine = ANNOY if slower <= (1 if cheapest else MAX_TIMES_SLOWER) else SCAN
        calibration = Calibration(engine, index_setting, index_dims, scan, [*of_index, *scan_curve], 0.0, 0.0)
        if queries.losses is not None:
            found, _ = ranking(movies, calibration.effort, queries.vectors, queries.exclude, LOSS_K)
            recall, ndcg = queries.losses(found)
            calibration = replace(calibration, recall_loss=recall.share, ndcg_loss=ndcg.share)
        calibrations.append(calibration)
    return calibrations


def _calibrate_scans(
    vectors: np.ndarray,
    kinds: Sequence[Queries],
    exact: Sequence[np.ndarray],
    sufficed: Sequence[Setting],
) -> list[list[Setting]]:
    """Return for each kind what was measured; the last settings are good enough, and scan as many components."""
    dim = vectors.shape[1]
    fewest = max((setting.scan_dims for setting in sufficed), default=0)
    curves: list[list[Setting]] = [[] for _ in kinds]
    for scan_dims in [*(dims for dims in SCAN_DIMS if fewest <= dims < dim), dim]:  # the last is an exact scan
        movies = IndexedVectors(vectors, leading_components(vectors, scan_dims), None, RECALL_K)
        are_good = []
        for number, (queries, nearest_rows, curve) in enumerate(zip(kinds, exact, curves, strict=True)):
            least = sufficed[number].scan_candidates if scan_dims == fewest else 0
            settings, is_good = _calibrate_scan(movies, queries, nearest_rows, least)
            curve += settings
            are_good.append(is_good)
        if all(are_good):
            break
    return curves


def _calibrate_scan(
    movies: IndexedVectors, queries: Queries, nearest_rows: np.ndarray, least: int
) -> tuple[list[Setting], bool]:
    """Rank more movies exactly until a scan is good enough; return what was measured, and whether it is.

    least: fewer movies are not tried.
    """
    scan_dims = movies.leading.shape[1]
    is_exact = scan_dims == movies.vectors.shape[1]
    settings: list[Setting] = []
    for candidates in (RECALL_K,) if is_exact else (number for number in SCAN_CANDIDATES if number >= least):
        scan = Effort(uses_index=False, search_k=0, scan_candidates=candidates)
        recall, latency_us = measure(movies, scan, queries, nearest_rows)
        settings.append(Setting(0, scan_dims, candidates, recall, latency_us))
        if is_exact or (recall >= TARGET_RECALL and loses_little(movies, scan, queries)):
            return settings, True
    return settings, False


def _calibrate_index(
    movies: IndexedVectors, queries: Queries, nearest_rows: np.ndarray, least: int, scan_candidates: int
) -> tuple[Setting, list[Setting]]:
    """Find the least effort at which the index is good enough, or a scan would answer instead.

    Returns the setting and all that were measured, by effort.  scan_candidates: of that scan.
    """
    measured: dict[int, Setting] = {}

    def is_good(search_k: int) -> bool:
        effort = Effort(uses_index=True, search_k=search_k, scan_candidates=scan_candidates)
        recall, latency_us = measure(movies, effort, queries, nearest_rows)
        measured[search_k] = Setting(search_k, 0, 0, recall, latency_us)
        return recall >= TARGET_RECALL and loses_little(movies, effort, queries)

    efforts = list(_efforts(len(movies.vectors), least))
    too_dear = (not search_is_worthwhile(movies, search_k, scan_candidates, RECALL_K) for search_k in efforts)
    last = next((number for number, is_dear in enumerate(too_dear) if is_dear), len(efforts) - 1)
    number = 0  # often, what sufficed before does again
    if not is_good(efforts[0]):
        number = bisect_left(efforts, True, min(1, last), last, key=is_good)
    if efforts[number] not in measured:
        is_good(efforts[number])
    return measured[efforts[number]], [measured[search_k] for search_k in sorted(measured)]


def _efforts(num_movies: int, least: int) -> Iterator[int]:
    """Yield the search_k to try: a geometric grid from `least` to a last value that visits every leaf of every tree."""
    search_k = least
    while search_k < num_movies * NUM_TREES:
        yield search_k
        search_k = int(search_k * EFFORT_RATIO)
    yield num_movies * NUM_TREES
