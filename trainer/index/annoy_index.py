"""The Annoy index over movies' vectors, and rankings by it as the service makes them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import pairwise, repeat
from pathlib import Path
from typing import Literal

import numpy as np
from annoy import AnnoyIndex
from scipy import sparse

from protos.release.v1.effort import scan_depth
from protos.release.v1.scans import StartedScan, start_scans
from protos.release.v1.search import Effort, nearest
from protos.release.v1.vectors import IndexedVectors

# It ranks unit vectors like their cosine, and finds more than "angular" does at the same effort.
METRIC: Literal["euclidean"] = "euclidean"
NUM_TREES = 10  # a higher effort raises the recall more cheaply than more trees do
SEED = 1
RECALL_K = 10  # the length of list that efforts are calibrated for


def build_index(vectors: np.ndarray, path: Path) -> AnnoyIndex:
    """Write the index over vectors float32[n, d] to `path`; the same vectors give the same bytes."""
    index = AnnoyIndex(vectors.shape[1], METRIC)
    index.set_seed(SEED)
    for row, vector in enumerate(vectors):
        index.add_item(row, vector)
    index.build(NUM_TREES, n_jobs=1)  # with more jobs, threads race for the random numbers and the file varies
    index.save(str(path))
    return index


def ranking(
    movies: IndexedVectors,
    effort: Effort,
    queries: np.ndarray,
    exclude: sparse.csr_matrix,
    k: int,
    scan_together: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (int32[num_queries, k] rows, nearest first, −1 where fewer are left; float64[num_queries] seconds).

    queries: float32[num_queries, d].  exclude: CSR[num_queries, num_movies].
    scan_together: whether all scans begin in one multiplication; the effort must not use the index.
    """
    ranked = np.full((len(queries), k), -1, np.int32)
    seconds = np.zeros(len(queries))
    excluded = [exclude.indices[start:end] for start, end in pairwise(exclude.indptr)]
    scans: Iterable[StartedScan | None] = repeat(None, len(queries))
    if scan_together:
        start = time.perf_counter()
        scans = start_scans(movies, queries, excluded, scan_depth(effort.scan_candidates, movies.recall_k, k))
        seconds += (time.perf_counter() - start) / max(len(queries), 1)
    for i, (query, excluded_rows, scan) in enumerate(zip(queries, excluded, scans, strict=True)):
        start = time.perf_counter()
        rows, _ = nearest(movies, effort, query, k, excluded_rows, scan=scan)
        seconds[i] += time.perf_counter() - start
        ranked[i, : len(rows)] = rows
    return ranked, seconds
