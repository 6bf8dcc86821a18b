"""The Annoy index over movie embeddings, searched as the service searches it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from annoy import AnnoyIndex
from scipy import sparse

from protos.release.v1.effort import search_effort

NUM_TREES = 10  # for cosine-trained vectors a higher effort raises the recall, and more trees do not
SEED = 1
RECALL_K = 10  # the length of list that efforts are calibrated for


def build_index(movies: np.ndarray, path: Path) -> AnnoyIndex:
    """Write the index over movies float32[num_movies, d] to `path`; the same vectors give the same bytes."""
    index = AnnoyIndex(movies.shape[1], "angular")
    index.set_seed(SEED)
    for row, embedding in enumerate(movies):
        index.add_item(row, embedding)
    index.build(NUM_TREES, n_jobs=1)  # with more jobs, threads race for the random numbers and the file varies
    index.save(str(path))
    return index


def index_ranking(
    index: AnnoyIndex, movies: np.ndarray, queries: np.ndarray, exclude: sparse.csr_matrix, k: int, search_k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (int32[num_queries, k] rows, nearest first, −1 where fewer were found; float64[num_queries] seconds).

    As in the service, Annoy is asked for k rows and as many more as are excluded, with the effort of `search_effort`.
    Where that effort would inspect as many nodes as there are movies, all movies are scored instead.

    movies: float32[num_movies, d], which the index was built from.  queries: float32[num_queries, d].
    exclude: CSR[num_queries, num_movies].
    """
    ranked = np.full((len(queries), k), -1, np.int32)
    seconds = np.zeros(len(queries))
    for i, query in enumerate(queries):
        excluded = exclude.indices[exclude.indptr[i] : exclude.indptr[i + 1]]
        wanted = k + len(excluded)
        effort = search_effort(search_k, RECALL_K, k, wanted)
        start = time.perf_counter()
        if effort < len(movies):
            rows = np.array(index.get_nns_by_vector(query, wanted, effort), np.int32)
        else:
            rows = np.argsort(-(movies @ query), kind="stable")[:wanted].astype(np.int32)
        seconds[i] = time.perf_counter() - start
        kept = rows[~np.isin(rows, excluded)][:k]
        ranked[i, : len(kept)] = kept
    return ranked, seconds
