"""Recall versus microseconds per query of each engine, over embeddings that training gave."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy import sparse

from benchmarks.engines import ANNOY, ENGINES, Search, searching
from benchmarks.support import SERVER_CORE, on_cores
from benchmarks.trained_vectors import TrainedVectors
from trainer.index.calibration import calibrate
from trainer.index.measuring import Queries

K = 10
ROUNDS, TIMED = 3, 200  # each round times a search for so many of the users
TARGET_RECALL = 0.95
CALIBRATED = "this repository, as calibrated"


@dataclass(frozen=True)
class Point:
    """One setting of an engine: its recall@K, the median microseconds of a query, and what the index took.

    build_s: seconds of CPU.  num_bytes: see `engines.Built`.
    """

    num_movies: int
    engine: str
    setting: str
    recall: float
    latency_us: float
    build_s: float
    num_bytes: int

    @property
    def as_json(self) -> dict[str, object]:
        return asdict(self)


def frontier(vectors: TrainedVectors) -> list[Point]:
    """Measure every setting of every engine; in each round all take turns with the same queries."""
    exact = np.argsort(-(vectors.users @ vectors.movies.T), axis=1)[:, :K]
    builds, searches = {}, dict[tuple[str, str], Search]()
    with on_cores(SERVER_CORE):
        for engine, build in ENGINES.items():
            start = time.process_time()
            built = build(vectors.movies, K)
            builds[engine] = time.process_time() - start, built.num_bytes
            searches |= {(engine, setting): search for setting, search in built.searches.items()}
        setting, calibrated = _as_calibrated(vectors)
        searches[CALIBRATED, setting] = calibrated
        builds[CALIBRATED] = builds[ANNOY]
        recalls = {of: recall(search, vectors.users, exact) for of, search in searches.items()}
        medians: dict[tuple[str, str], list[float]] = {of: [] for of in searches}
        for _ in range(ROUNDS):
            for of, search in searches.items():
                medians[of].append(median_us(search, vectors.users[:TIMED]))
    return [
        Point(
            len(vectors.movies), engine, setting, recall, statistics.median(medians[engine, setting]), *builds[engine]
        )
        for (engine, setting), recall in recalls.items()
    ]


def _as_calibrated(vectors: TrainedVectors) -> tuple[str, Search]:
    """What the trainer chooses for these users: (setting, search)."""
    nothing = sparse.csr_matrix((len(vectors.users), len(vectors.movies)), dtype=np.float32)
    with TemporaryDirectory() as scratch:
        index_file, kinds = Path(scratch) / "index", [Queries(vectors.users, nothing)]
        movies, (chosen,) = calibrate(vectors.movies, index_file, kinds, cheapest=False)
    scan = f"scan of {chosen.scan.scan_dims} components, {chosen.scan.scan_candidates} exact"
    setting = f"Annoy, search_k {chosen.index.search_k:,}" if chosen.effort.uses_index else scan
    return setting, searching(movies, chosen.effort, K)


def cheapest(points: list[Point]) -> Iterator[Point]:
    """For each engine, its fastest setting that finds TARGET_RECALL, or else the one that finds most."""
    for engine in dict.fromkeys(point.engine for point in points):
        settings = [point for point in points if point.engine == engine]
        enough = [point for point in settings if point.recall >= TARGET_RECALL]
        if enough:
            yield min(enough, key=lambda point: point.latency_us)
        else:
            yield max(settings, key=lambda point: point.recall)


def recall(search: Search, queries: np.ndarray, exact: np.ndarray) -> float:
    shares = [len(set(search(query)) & set(rows)) / K for query, rows in zip(queries, exact.tolist(), strict=True)]
    return statistics.mean(shares)


def median_us(search: Search, queries: np.ndarray) -> float:
    seconds = []
    for query in queries:
        start = time.perf_counter()
        search(query)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e6
