"""The Annoy index over movie embeddings, and the search effort at which it answers like an exact scan."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from annoy import AnnoyIndex
from scipy import sparse

from protos.release.v1.effort import search_effort
from trainer.data.interactions import Interactions, indicator
from trainer.index.ranking import exact_ranking
from trainer.model.cosine_softmax import Embeddings
from trainer.model.fold_in import fold_in, newcomer_temperatures

NUM_TREES = 10  # on cosine-trained vectors effort pays, trees do not: 100 trees need the same search_k
SEED = 1
RECALL_K = 10
TARGET_RECALL = 0.99
MAX_FEW_LIKES = 5  # of the newcomers that the index is calibrated for
MAX_QUERIES = 500  # of each kind; the standard error of a recall of 0.99 is then about 0.002


@dataclass(frozen=True)
class Effort:
    """recall@RECALL_K and median microseconds per query at one search_k."""

    search_k: int
    recall: float
    latency_us: float


@dataclass(frozen=True)
class Calibration:
    """chosen: the cheapest effort that reached TARGET_RECALL; curve: all that were measured, ascending."""

    chosen: Effort
    curve: list[Effort]


def build_index(movies: np.ndarray, path: Path) -> AnnoyIndex:
    """Writes the index over movies float32[num_movies, d] to `path`; the same vectors give the same bytes."""
    index = AnnoyIndex(movies.shape[1], "angular")
    index.set_seed(SEED)
    for row, embedding in enumerate(movies):
        index.add_item(row, embedding)
    index.build(NUM_TREES, n_jobs=1)  # more jobs race for the random numbers, and the file differs every time
    index.save(str(path))
    return index


def calibrate_recommend(index: AnnoyIndex, embeddings: Embeddings, known: Interactions) -> Calibration:
    """The effort at which nearest unwatched movies are found: users', and newcomers' with few likes, which are harder,
    for they lean away from the average movie. The effort is the larger of the two's."""
    rng = np.random.default_rng(SEED)
    with_taste = np.flatnonzero(embeddings.users.any(axis=1))
    users = rng.choice(with_taste, min(MAX_QUERIES, len(with_taste)), replace=False)
    of_users = _calibrate(index, embeddings.users[users], embeddings.movies, known.watched_trained[users])
    likes = [known.positives.indices[known.positives.indptr[u] : known.positives.indptr[u + 1]] for u in users]
    few = [rng.choice(liked, min(len(liked), 1 + i % MAX_FEW_LIKES), replace=False) for i, liked in enumerate(likes)]
    newcomers = indicator(
        np.repeat(np.arange(len(few)), list(map(len, few))), np.concatenate(few), (len(few), len(embeddings.movies))
    )
    folded = fold_in(newcomers, embeddings.movies, newcomer_temperatures(embeddings.temperature, newcomers))
    of_newcomers = _calibrate(index, folded, embeddings.movies, newcomers)
    return max(of_users, of_newcomers, key=lambda calibration: calibration.chosen.search_k)


def calibrate_similar_movies(index: AnnoyIndex, vectors: np.ndarray, known: Interactions) -> Calibration:
    """The effort at which movies' nearest other movies are found; movies drawn as often as they are liked.

    vectors: float32[num_trained_movies, s], what the index was built of.
    """
    rng = np.random.default_rng(SEED)
    num_movies = len(vectors)
    chance = known.popularity[:num_movies] / known.popularity.sum()
    movies = rng.choice(num_movies, min(MAX_QUERIES, num_movies), replace=False, p=chance)
    itself = indicator(np.arange(len(movies)), movies, (len(movies), num_movies))
    return _calibrate(index, vectors[movies], vectors, itself)


def _calibrate(index: AnnoyIndex, queries: np.ndarray, movies: np.ndarray, exclude: sparse.csr_matrix) -> Calibration:
    """Raises the effort until TARGET_RECALL is reached.  queries: float32[num_queries, d]."""
    exact = exact_ranking(queries, movies, exclude, RECALL_K)
    curve: list[Effort] = []
    for search_k in _efforts(len(movies)):
        found, seconds = index_ranking(index, movies, queries, exclude, RECALL_K, search_k)
        curve.append(Effort(search_k, _overlap(found, exact), float(np.median(seconds)) * 1e6))
        if curve[-1].recall >= TARGET_RECALL:
            break
    return Calibration(curve[-1], curve)


def index_ranking(
    index: AnnoyIndex, movies: np.ndarray, queries: np.ndarray, exclude: sparse.csr_matrix, k: int, search_k: int
) -> tuple[np.ndarray, np.ndarray]:
    """(int32[num_queries, k] rows, nearest first, −1 where fewer were found; float64[num_queries] seconds per query).

    movies: float32[num_movies, d], what the index was built of.  queries: float32[num_queries, d].
    exclude: CSR[num_queries, num_movies].  Asks for k plus what is excluded, with the effort of `search_effort`, or
    scores all movies where that is as cheap, as the service does.
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


def _efforts(num_movies: int) -> Iterator[int]:
    """A geometric grid whose last value visits every leaf of every tree."""
    search_k = 500
    while search_k < num_movies * NUM_TREES:
        yield search_k
        search_k = int(search_k * 1.5)
    yield num_movies * NUM_TREES


def _overlap(found: np.ndarray, expected: np.ndarray) -> float:
    """Mean share of the expected rows that were found, over queries that expect any."""
    shares = [np.isin(e[e >= 0], f).mean() for f, e in zip(found, expected, strict=True) if (e >= 0).any()]
    return float(np.mean(shares)) if shares else 1.0
