"""The queries that indexes are calibrated with: users of the release, newcomers with few likes, and movies."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from trainer.data.interactions import Interactions, indicator
from trainer.index.annoy_index import SEED
from trainer.index.measuring import MEASURED_SEARCHES, Queries
from trainer.model.cosine_softmax import Embeddings
from trainer.model.newcomers import newcomer_embeddings

MAX_QUERIES = 2_000  # of each kind, so that chance hardly moves the measured recall
MAX_FEW_LIKES = 5  # the most liked movies of a newcomer


def some_users(embeddings: Embeddings) -> np.ndarray:
    """Return int64 rows of at most MEASURED_SEARCHES users with an embedding, drawn at random."""
    with_likes = np.flatnonzero(embeddings.users.any(axis=1))
    drawn = np.random.default_rng(SEED).choice(with_likes, min(MAX_QUERIES, len(with_likes)), replace=False)
    return drawn[:MEASURED_SEARCHES]  # without held-out movies, no more are searched for


def of_users(embeddings: Embeddings, known: Interactions, users: np.ndarray) -> Queries:
    """Return queries for the unwatched movies that are nearest to users.  users: int rows, each with an embedding."""
    return Queries(embeddings.users[users], known.watched[users][:, : len(embeddings.movies)])


def of_newcomers(embeddings: Embeddings, known: Interactions, users: np.ndarray) -> Queries:
    """Return queries of newcomers who like a few of the movies that these users like.

    Newcomers with few likes lie farther from the average movie, so their neighbours are harder to find.
    """
    few = _few_likes(known.positives[users], np.random.default_rng(SEED))
    return Queries(newcomer_embeddings(few, embeddings), few)


def of_movies(vectors: np.ndarray, num_likes: np.ndarray) -> Queries:
    """Return queries for the nearest other movies. A movie is drawn with a chance proportional to its likes.

    vectors: float32[num_trained_movies, s].  num_likes: int64[num_trained_movies], at least one each.
    """
    num_movies = len(vectors)
    rng = np.random.default_rng(SEED)
    movies = rng.choice(num_movies, min(MAX_QUERIES, num_movies), replace=False, p=num_likes / num_likes.sum())
    return Queries(vectors[movies], indicator(np.arange(len(movies)), movies, (len(movies), num_movies)))


def _few_likes(positives: sparse.csr_matrix, rng: np.random.Generator) -> sparse.csr_matrix:
    """Draw a few likes of each user: 1 for the first user, 2 for the second, up to MAX_FEW_LIKES, then 1 again.

    positives: CSR float32[num_users, num_movies], with a like for every user. The result has the same shape.
    """
    liked_rows = np.split(positives.indices, positives.indptr[1:-1])
    few = [rng.choice(rows, min(len(rows), 1 + i % MAX_FEW_LIKES), replace=False) for i, rows in enumerate(liked_rows)]
    return indicator(np.repeat(np.arange(len(few)), list(map(len, few))), np.concatenate(few), positives.shape)
