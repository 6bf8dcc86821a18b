"""Small data sets in which even users like even movies and odd users like odd ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trainer.data.dataset import Dataset
from trainer.model.hyperparameters import Hyperparameters

SMALL = Hyperparameters(embedding_dim=16, epochs=15, batch_size=32)


def tastes(users: int = 40, movies: int = 30, each: int = 12, low: float = 1, high: float = 5) -> pd.DataFrame:
    """Ratings of random movies by each user: `high` for movies of the user's own parity, `low` for the others."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(1, users + 1):
        for at, movie in enumerate(rng.choice(np.arange(1, movies + 1), each, replace=False)):
            rows.append((user, int(movie), high if (user + movie) % 2 == 0 else low, at))
    return pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "timestamp"])


def dataset_of(ratings: pd.DataFrame) -> Dataset:
    """A data set of these ratings and of the movies that they name."""
    ratings = ratings.astype({"user_id": "int64", "movie_id": "int64", "rating": "float32", "timestamp": "int64"})
    movie_ids = np.unique(ratings["movie_id"])
    movies = pd.DataFrame({"movie_id": movie_ids, "title": [f"Movie {m}" for m in movie_ids], "year": 0, "genres": ""})
    return Dataset("hand-made", ratings, movies, fingerprint="0" * 64)
