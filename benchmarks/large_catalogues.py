"""Where in-process Annoy ends: memory, build, time and loss at 100,000 and 1,000,000 movies.

`python -m benchmarks.large_catalogues`. The smaller catalogue is fitted by the trainer to generated ratings. The larger
one is drawn from a mixture of Gaussians that is fitted to the smaller one, because fitting a million movies takes more
memory than a small machine has. A catalogue of 100,000 movies from the mixture says how far the two differ.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import faiss
import hnswlib
import numpy as np

from benchmarks.engines import Search, searching
from benchmarks.frontier import TARGET_RECALL, K, median_us, recall
from benchmarks.trained_vectors import TrainedVectors, trained_vectors
from protos.release.v1.search import Effort
from protos.release.v1.vectors import IndexedVectors, leading_components
from trainer.index.annoy_index import build_index

FOLDER = Path("artifacts/bench")
SMALL, LARGE = 100_000, 1_000_000
COMPONENTS, POINTS_PER_COMPONENT = 2_000, 64  # of the mixture; how many movies of each its centre is found by
NODES = (3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 204_800, 409_600)  # Annoy's search_k
EFFORTS = (10, 20, 40, 80, 160, 320)  # hnswlib's ef
SCANS = ((32, 400), (64, 400), (128, 400))  # components, movies that are ranked exactly
TIMED = 100  # queries

Line = dict[str, object]


def main() -> None:
    """Print a line of JSON for each setting that was tried, up to the first that finds TARGET_RECALL."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    fitted = trained_vectors(SMALL, FOLDER)
    for name, vectors in (
        ("fitted", fitted),
        ("mixture", TrainedVectors(mixture(fitted.movies, SMALL), fitted.users)),
        ("mixture", TrainedVectors(mixture(fitted.movies, LARGE), fitted.users)),
    ):
        for line in measured(vectors):
            print(json.dumps({"vectors": name, "movies": len(vectors.movies), **line}), flush=True)


def mixture(movies: np.ndarray, num_movies: int) -> np.ndarray:
    """Draw float32[num_movies, d], unit rows, from a mixture of Gaussians with the means and covariances of clusters.

    movies: float32[n, d].  A cluster's movies, combined with normal weights, have exactly its empirical covariance.
    """
    kmeans = faiss.Kmeans(movies.shape[1], COMPONENTS, niter=8, max_points_per_centroid=POINTS_PER_COMPONENT)
    kmeans.train(movies)
    cluster_of = kmeans.index.search(movies, 1)[1][:, 0]
    rng = np.random.default_rng(0)
    counts = rng.multinomial(num_movies, np.bincount(cluster_of, minlength=COMPONENTS) / len(movies))
    drawn = np.empty((num_movies, movies.shape[1]), np.float32)
    start = 0
    for cluster, count in enumerate(counts):
        if count:
            members = movies[cluster_of == cluster]
            mean = members.mean(axis=0)
            weights = rng.standard_normal((count, len(members)), np.float32) / np.sqrt(max(len(members) - 1, 1))
            drawn[start : start + count] = mean + weights @ (members - mean)
            start += count
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    shuffled: np.ndarray = drawn[rng.permutation(num_movies)]
    return shuffled


def measured(vectors: TrainedVectors) -> Iterator[Line]:
    """What each engine takes, and what its settings find, cheapest first, until one finds TARGET_RECALL."""
    movies, users = vectors.movies, vectors.users
    exact = np.array([np.argsort(-(movies @ user))[:K] for user in users])
    yield {"engine": "exact scan", "us": median_us(_exact(movies), users[:TIMED]), "mb": movies.nbytes / 1e6}
    yield from _found("scan", _scans(movies), vectors, exact)
    with TemporaryDirectory(dir=FOLDER) as scratch:
        start = time.process_time()
        index = build_index(movies, Path(scratch) / "index")
        yield {
            "engine": "Annoy",
            "build_s": time.process_time() - start,
            "mb": (Path(scratch) / "index").stat().st_size / 1e6,
        }

        def annoy(nodes: int) -> Search:
            return lambda user: index.get_nns_by_vector(user.tolist(), K, nodes)

        yield from _found("Annoy", ((f"search_k {nodes}", annoy(nodes)) for nodes in NODES), vectors, exact)
    start = time.process_time()
    graph = hnswlib.Index("ip", movies.shape[1])
    graph.init_index(len(movies))
    graph.add_items(movies, num_threads=1)
    yield {"engine": "hnswlib", "build_s": time.process_time() - start, "mb": graph.index_file_size() / 1e6}

    def hnsw(effort: int) -> Search:
        def search(user: np.ndarray) -> list[int]:
            graph.set_ef(effort)
            rows: list[int] = graph.knn_query(user, K, num_threads=1)[0][0].tolist()
            return rows

        return search

    yield from _found("hnswlib", ((f"ef {effort}", hnsw(effort)) for effort in EFFORTS), vectors, exact)


def _exact(movies: np.ndarray) -> Search:
    return searching(IndexedVectors(movies, movies, None, K), Effort(False, 0, K), K)


def _scans(movies: np.ndarray) -> Iterator[tuple[str, Search]]:
    for dims, candidates in SCANS:
        parts = IndexedVectors(movies, leading_components(movies, dims), None, K)
        yield f"{dims} components, {candidates} exact", searching(parts, Effort(False, 0, candidates), K)


def _found(
    engine: str, searches: Iterator[tuple[str, Search]], vectors: TrainedVectors, exact: np.ndarray
) -> Iterator[Line]:
    for setting, search in searches:
        share = recall(search, vectors.users, exact)
        us = median_us(search, vectors.users[:TIMED])
        yield {"engine": engine, "setting": setting, "recall": round(share, 3), "us": round(us)}
        if share >= TARGET_RECALL:
            return


if __name__ == "__main__":
    main()
