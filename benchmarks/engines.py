"""What finds nearest vectors: what this repository uses, and the libraries that one could use instead.

Every library builds with its own default settings, on one thread. It gets one vector in a call, as the recommender
asks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import hnswlib
import numpy as np
import voyager
from usearch.index import Index as UsearchIndex

from protos.release.v1.search import Effort, nearest
from protos.release.v1.vectors import IndexedVectors, leading_components
from trainer.index.annoy_index import build_index

EFFORTS = (10, 20, 40, 80, 160)  # of searches in graphs
PROBES = (1, 2, 4, 8, 16, 32, 64, 128)  # lists that Faiss looks into
NODES = (400, 800, 1600, 3200, 6400, 12_800)  # Annoy's search_k
SCANS = ((32, 100), (32, 200), (64, 100), (64, 200), (128, 100), (128, 200))

ANNOY, SCAN, EXACT = "Annoy, 10 trees", "scan of leading components", "exact scan"
NO_ROWS = np.empty(0, np.int32)

Search = Callable[[np.ndarray], Sequence[int]]
"""Takes a query float32[d] of unit length and returns the rows of the K nearest vectors, nearest first."""


@dataclass(frozen=True)
class Built:
    """An index.

    searches: the settings that were tried, by name.  num_bytes: of a file of the index, and of the vectors it needs.
    """

    searches: dict[str, Search]
    num_bytes: int


Build = Callable[[np.ndarray, int], Built]
"""Takes vectors float32[n, d] of unit length and K."""


def _annoy(vectors: np.ndarray, k: int) -> Built:
    with _file() as path:
        index = build_index(vectors, path)  # memory-mapped, so it lives on when the file is gone
        num_bytes = path.stat().st_size

    def searching(nodes: int) -> Search:
        return lambda query: index.get_nns_by_vector(query.tolist(), k, nodes)

    return Built({f"search_k {nodes}": searching(nodes) for nodes in NODES}, num_bytes)


def _scan(vectors: np.ndarray, k: int) -> Built:
    searches = {}
    for dims, candidates in SCANS:
        movies = IndexedVectors(vectors, leading_components(vectors, dims), None, k)
        searches[f"{dims} components, {candidates} exact"] = searching(movies, Effort(False, 0, candidates), k)
    return Built(searches, vectors.nbytes + vectors[:, : SCANS[-1][0]].nbytes)


def _exact(vectors: np.ndarray, k: int) -> Built:
    movies = IndexedVectors(vectors, vectors, None, k)
    return Built({"": searching(movies, Effort(False, 0, k), k)}, vectors.nbytes)


def searching(movies: IndexedVectors, effort: Effort, k: int) -> Search:
    """A search as the recommender makes it."""
    return lambda query: nearest(movies, effort, query, k, NO_ROWS)[0]


def _hnswlib(vectors: np.ndarray, k: int) -> Built:
    index = hnswlib.Index("ip", vectors.shape[1])
    index.init_index(len(vectors))
    index.set_num_threads(1)
    index.add_items(vectors)

    def searching(effort: int) -> Search:
        def search(query: np.ndarray) -> Sequence[int]:
            index.set_ef(effort)
            return index.knn_query(query, k)[0][0].tolist()  # type: ignore[no-any-return]

        return search

    with _file() as path:
        index.save_index(str(path))
        return Built({f"ef {effort}": searching(effort) for effort in EFFORTS}, path.stat().st_size)


def _faiss(kind: str) -> Build:
    def build(vectors: np.ndarray, k: int) -> Built:
        faiss.omp_set_num_threads(1)
        lists = int(4 * len(vectors) ** 0.5)
        index = faiss.index_factory(vectors.shape[1], f"IVF{lists},{kind}", faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
        index.add(vectors)

        def searching(probes: int) -> Search:
            parameters_of: Any = faiss.SearchParametersIVF  # its type does not know the keyword
            parameters = parameters_of(nprobe=probes)
            return lambda query: index.search(query[None, :], k, params=parameters)[1][0].tolist()

        searches = {f"nprobe {probes}": searching(probes) for probes in PROBES}
        return Built(searches, faiss.serialize_index(index).nbytes)

    return build


def _usearch(vectors: np.ndarray, k: int) -> Built:
    index = UsearchIndex(ndim=vectors.shape[1], metric="ip", dtype="f32")
    index.add(np.arange(len(vectors)), vectors, threads=1)

    def searching(effort: int) -> Search:
        def search(query: np.ndarray) -> Sequence[int]:
            index.expansion_search = effort
            rows: list[int] = index.search(query, k, threads=1).keys.tolist()
            return rows

        return search

    return Built({f"expansion {effort}": searching(effort) for effort in EFFORTS}, index.serialized_length)


def _voyager(vectors: np.ndarray, k: int) -> Built:
    index = voyager.Index(voyager.Space.InnerProduct, vectors.shape[1])
    index.add_items(vectors, num_threads=1)

    def searching(effort: int) -> Search:
        return lambda query: index.query(query, k, query_ef=effort)[0].tolist()

    return Built({f"query_ef {effort}": searching(effort) for effort in EFFORTS}, len(index.as_bytes()))


@contextmanager
def _file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch) / "index"


ENGINES: dict[str, Build] = {
    ANNOY: _annoy,
    SCAN: _scan,
    EXACT: _exact,
    "hnswlib": _hnswlib,
    "Faiss, IVF-Flat": _faiss("Flat"),
    "Faiss, IVF-SQ8": _faiss("SQ8"),
    "USearch": _usearch,
    "Voyager": _voyager,
}
