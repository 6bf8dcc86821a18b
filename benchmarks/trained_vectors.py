"""Embeddings of the geometry that training gives: fitted by the trainer to generated ratings, and kept in a file.

Random vectors would not do: those that were trained lie in a cone, cluster, and vary most along few axes, which decides
how fast an index finds neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from trainer.data.interactions import interactions_of
from trainer.model.cosine_softmax import fit
from trainer.model.hyperparameters import Hyperparameters

NUM_USERS, LIKES_PER_MOVIE = 6_000, 24  # of the generated ratings
NUM_TASTES, TASTE_WEIGHT = 24, 6.0  # the k-th taste weighs 1/k
BLOCK = 256  # users whose likes are drawn at once
NUM_QUERIES, EPOCHS, BATCH_SIZE = 500, 8, 256  # few epochs and large batches, so that the largest takes minutes


@dataclass(frozen=True)
class TrainedVectors:
    """movies: float32[num_movies, d], users: float32[NUM_QUERIES, d], unit rows in one space."""

    movies: np.ndarray
    users: np.ndarray


def trained_vectors(num_movies: int, folder: Path) -> TrainedVectors:
    """The vectors of about so many movies, from `folder`, or fitted and put there if it has none."""
    path = folder / f"trained-vectors-{num_movies}.npz"
    if not path.exists():
        print(f"fitting {num_movies:,} movies to generated ratings, once: {path}", flush=True)
        settings = replace(Hyperparameters(), epochs=EPOCHS, batch_size=BATCH_SIZE)
        fitted = fit(interactions_of(_ratings(num_movies), 3.5), settings)
        users = np.random.default_rng(1).choice(len(fitted.users), NUM_QUERIES, replace=False)
        np.savez(path, movies=fitted.movies, users=fitted.users[users])
    saved = np.load(path)
    return TrainedVectors(saved["movies"], saved["users"])


def _ratings(num_movies: int) -> pd.DataFrame:
    """Likes of users with tastes for movies with features: each user's are drawn by taste and popularity.

    Each movie has a like at least.
    """
    rng = np.random.default_rng(0)
    likes = num_movies * LIKES_PER_MOVIE // NUM_USERS  # of a user
    features = (rng.normal(size=(num_movies, NUM_TASTES)) / np.arange(1, NUM_TASTES + 1)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    log_popularity = -np.log(np.arange(num_movies) + 50.0).astype(np.float32)
    rng.shuffle(log_popularity)
    liked = []
    for start in range(0, NUM_USERS, BLOCK):
        tastes = rng.normal(size=(min(BLOCK, NUM_USERS - start), NUM_TASTES)).astype(np.float32)
        # Gumbel noise makes the largest sums a draw without replacement (Kool et al. 2019).
        gumbel = rng.gumbel(size=(len(tastes), num_movies)).astype(np.float32)
        sums = TASTE_WEIGHT * (tastes @ features.T) + log_popularity + gumbel
        liked.append(np.argpartition(-sums, likes, axis=1)[:, :likes])
    movies = np.concatenate(liked).ravel()
    users = np.repeat(np.arange(NUM_USERS), likes)
    missing = np.setdiff1d(np.arange(num_movies), movies)
    users = np.concatenate([users, rng.integers(0, NUM_USERS, len(missing))])
    movies = np.concatenate([movies, missing])
    times = np.arange(len(movies), dtype=np.int64)
    return pd.DataFrame({"user_id": users, "movie_id": movies, "rating": np.float32(4), "timestamp": times})
