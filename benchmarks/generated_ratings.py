"""Generated ratings of any size, written without ever holding all of them.

They have what decides the cost and the success of training: few movies are popular, users differ in how
much they watch, and what they watch follows latent tastes that can be learnt. The same seed gives the same files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

NUM_TASTES = 64
MOVIE_BREADTH, USER_BREADTH = 0.05, 0.08  # of Dirichlet distributions over tastes: a few weigh most
POPULARITY_EXPONENT = 1.0  # the chance of the movie of rank r falls like 1 / (r + head)
HEAD_SHARE = 0.003  # of the catalogue: so many movies are about equally popular
ACTIVITY_SPREAD = 1.0  # standard deviation of the logarithm of a user's number of ratings
MIN_RATINGS = 5  # of a user
BLOCK = 4_096  # users whose ratings are drawn at once; they make a row group
START_S, YEARS_S, USER_S = 1_420_070_400, 5 * 365 * 86_400, 60 * 86_400  # first time, span of all, span of one user
NOISE_STARS = 0.8


@dataclass(frozen=True)
class Size:
    """How much to generate. Repeated draws of a user count once, so there are a few per cent fewer ratings."""

    num_users: int
    num_movies: int
    num_ratings: int


def write_ratings(folder: Path, size: Size, seed: int = 0) -> int:
    """Write ratings.parquet and movies.parquet into `folder`, and return the number of ratings."""
    folder.mkdir(parents=True, exist_ok=True)
    movie_ids = np.arange(1, size.num_movies + 1)
    titles = pa.array([f"Movie {movie_id} ({1950 + movie_id % 70})" for movie_id in movie_ids.tolist()])
    pq.write_table(pa.table({"movieId": movie_ids, "title": titles}), folder / "movies.parquet")
    schema = pa.schema({"userId": pa.int64(), "movieId": pa.int64(), "rating": pa.float32(), "timestamp": pa.int64()})
    written = 0
    with pq.ParquetWriter(folder / "ratings.parquet", schema) as writer:
        for columns in ratings_in_blocks(size, seed):
            writer.write_table(pa.table(dict(zip(schema.names, columns, strict=True)), schema))
            written += len(columns[0])
    return written


def ratings_in_blocks(size: Size, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (user ids, movie ids, ratings, timestamps) of BLOCK users at a time: int64, int64, float32, int64.

    Each of a user's ratings is of a movie that is drawn by one of the user's tastes and by popularity.
    """
    rng = np.random.default_rng(seed)
    by_taste, affinity = _movies(size.num_movies, rng)
    activity = rng.lognormal(0, ACTIVITY_SPREAD, size.num_users)
    counts = np.clip(activity / activity.sum() * size.num_ratings, MIN_RATINGS, size.num_movies / 8).astype(int)
    for start in tqdm(range(0, size.num_users, BLOCK), desc="generating ratings", unit="block", disable=None):
        count = counts[start : start + BLOCK]
        tastes = np.cumsum(rng.dirichlet(np.full(NUM_TASTES, USER_BREADTH), len(count)), axis=1)
        users = np.repeat(np.arange(len(count)), count)
        # one search finds the taste of each rating: those of user u lie in (u, u + 1]
        places = np.searchsorted((tastes + np.arange(len(count))[:, None]).ravel(), users + rng.random(len(users)))
        taste = np.minimum(places, users * NUM_TASTES + NUM_TASTES - 1) % NUM_TASTES
        found = np.searchsorted(by_taste, taste + rng.random(len(users)))
        movies = np.minimum(found, (taste + 1) * size.num_movies - 1) % size.num_movies
        _, first = np.unique(users * size.num_movies + movies, return_index=True)
        users, movies, taste = users[first], movies[first], taste[first]
        stars = 3.0 + affinity[movies, taste] + NOISE_STARS * rng.standard_normal(len(users))
        begun = START_S + rng.integers(0, YEARS_S, len(count))
        times = begun[users] + rng.integers(0, USER_S, len(users))
        yield start + users + 1, movies + 1, _half_stars(stars), times


def _movies(num_movies: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return (float64[NUM_TASTES · num_movies], float64[num_movies, NUM_TASTES]).

    The first holds, for each taste t, t plus the cumulative chances of the movies. The second says by how many stars a
    user with that taste rates the movie higher.
    """
    weights = rng.dirichlet(np.full(NUM_TASTES, MOVIE_BREADTH), num_movies)
    popularity = (np.arange(num_movies) + HEAD_SHARE * num_movies + 1.0) ** -POPULARITY_EXPONENT
    rng.shuffle(popularity)
    chances = np.cumsum(popularity * weights.T, axis=1)
    chances /= chances[:, -1:]
    quality = rng.normal(0, 0.4, num_movies)
    return (chances + np.arange(NUM_TASTES)[:, None]).ravel(), np.sqrt(weights) + quality[:, None]


def _half_stars(stars: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = np.clip(np.round(stars * 2) / 2, 0.5, 5.0).astype(np.float32)
    return rounded
