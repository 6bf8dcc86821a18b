"""Calibration: the search effort at which an Annoy index finds almost what an exact scan finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from annoy import AnnoyIndex
from scipy import sparse

from trainer.data.interactions import Interactions, indicator
from trainer.index.annoy_index import NUM_TREES, RECALL_K, SEED, index_ranking
from trainer.index.ranking import exact_ranking
from trainer.model.cosine_softmax import Embeddings
from trainer.model.fold_in import fold_in, newcomer_temperatures

TARGET_RECALL = 0.99
MAX_FEW_LIKES = 5  # the most liked movies of a newcomer that the index is calibrated for
MAX_QUERIES = 500  # of each kind, so that chance hardly moves the measured recall
LOWEST_EFFORT, EFFORT_RATIO = 500, 1.5  # of the geometric grid of efforts


@dataclass(frozen=True)
class Effort:
    """recall@RECALL_K and the median microseconds of a query at one search_k."""

    search_k: int
    recall: float
    latency_us: float


@dataclass(frozen=True)
class Calibration:
    """chosen: the lowest effort that reached TARGET_RECALL, or the highest if none did.
    curve: every effort that was measured, in ascending order."""

    chosen: Effort
    curve: list[Effort]


def calibrate_recommend(index: AnnoyIndex, embeddings: Embeddings, known: Interactions) -> Calibration:
    """Calibrate for finding the nearest unwatched movies, for users of the release and for newcomers.

    Newcomers with few likes lie farther from the average movie, so their neighbours are harder to find. The result is
    the calibration with the higher effort of the two.
    """
    rng = np.random.default_rng(SEED)
    with_likes = np.flatnonzero(embeddings.users.any(axis=1))
    users = rng.choice(with_likes, min(MAX_QUERIES, len(with_likes)), replace=False)
    of_users = _calibrate(index, embeddings.users[users], embeddings.movies, known.watched_trained[users])
    newcomers = _newcomers(known.positives[users], rng)
    folded = fold_in(newcomers, embeddings.movies, newcomer_temperatures(embeddings.temperature, newcomers))
    of_newcomers = _calibrate(index, folded, embeddings.movies, newcomers)
    return max(of_users, of_newcomers, key=lambda calibration: calibration.chosen.search_k)


def calibrate_similar_movies(index: AnnoyIndex, vectors: np.ndarray, known: Interactions) -> Calibration:
    """Calibrate for finding the nearest other movies. A movie is drawn with a chance proportional to its likes.

    vectors: float32[num_trained_movies, s], which the index was built from.
    """
    rng = np.random.default_rng(SEED)
    num_movies = len(vectors)
    share_of_likes = known.popularity[:num_movies] / known.popularity.sum()
    movies = rng.choice(num_movies, min(MAX_QUERIES, num_movies), replace=False, p=share_of_likes)
    itself = indicator(np.arange(len(movies)), movies, (len(movies), num_movies))
    return _calibrate(index, vectors[movies], vectors, itself)


def _newcomers(positives: sparse.csr_matrix, rng: np.random.Generator) -> sparse.csr_matrix:
    """Draw a few likes of each user: 1 for the first user, 2 for the second, up to MAX_FEW_LIKES, then 1 again.

    positives: CSR float32[num_users, num_movies], with a like for every user. The result has the same shape.
    """
    liked_rows = np.split(positives.indices, positives.indptr[1:-1])
    few = [rng.choice(rows, min(len(rows), 1 + i % MAX_FEW_LIKES), replace=False) for i, rows in enumerate(liked_rows)]
    return indicator(np.repeat(np.arange(len(few)), list(map(len, few))), np.concatenate(few), positives.shape)


def _calibrate(index: AnnoyIndex, queries: np.ndarray, movies: np.ndarray, exclude: sparse.csr_matrix) -> Calibration:
    """Raise the effort until TARGET_RECALL is reached.

    queries: float32[num_queries, d].  movies: float32[num_movies, d].  exclude: CSR[num_queries, num_movies].
    """
    exact = exact_ranking(queries, movies, exclude, RECALL_K)
    curve: list[Effort] = []
    for search_k in _efforts(len(movies)):
        found, seconds = index_ranking(index, movies, queries, exclude, RECALL_K, search_k)
        curve.append(Effort(search_k, _recall(found, exact), float(np.median(seconds)) * 1e6))
        if curve[-1].recall >= TARGET_RECALL:
            break
    return Calibration(curve[-1], curve)


def _efforts(num_movies: int) -> Iterator[int]:
    """Yield a geometric grid whose last value visits every leaf of every tree."""
    search_k = LOWEST_EFFORT
    while search_k < num_movies * NUM_TREES:
        yield search_k
        search_k = int(search_k * EFFORT_RATIO)
    yield num_movies * NUM_TREES


def _recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the mean share of the exact rows that were found; 1 if no query has an exact row.

    found, exact: int32[num_queries, RECALL_K], −1 for none.
    """
    recalls = [np.isin(e[e >= 0], f).mean() for f, e in zip(found, exact, strict=True) if (e >= 0).any()]
    return float(np.mean(recalls)) if recalls else 1.0
