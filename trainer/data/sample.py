"""A generated sample in the form of MovieLens, where nothing can be downloaded: for trying, never for figures."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pandas as pd

from trainer.data.dataset import Dataset

NAME = "generated-sample"
NUM_USERS, NUM_MOVIES, NUM_RATINGS = 600, 2_000, 60_000
GENRES = ("Action", "Animation", "Comedy", "Crime", "Documentary", "Drama", "Horror", "Romance", "Sci-Fi", "Western")
FIRST = (
    "Amber Broken Crimson Distant Electric Forgotten Golden Hollow Iron Jade Last Midnight Northern Paper Quiet "
    "Restless Silver Stolen Velvet Winter"
).split()
SECOND = (
    "Harbour Orchard Signal Lantern Frontier Café Detective Garden Machine Passenger Reckoning Summer Tide Waltz "
    "Witness Empire Letters Mirage Outlaw Symphony"
).split()
THIRD = ("", " Returns", ": The Beginning", ", Part Two", " & Sons")
START_2015_S = 1_420_070_400


def generate(seed: int = 7) -> Dataset:
    """About 600 users, 2,000 movies and 60,000 ratings: latent tastes by genre, popularity skew, half-star ratings."""
    rng = np.random.default_rng(seed)
    genre_weights = rng.dirichlet(np.full(len(GENRES), 0.15), NUM_MOVIES)  # float64[num_movies, num_genres], sparse
    tastes = rng.dirichlet(np.full(len(GENRES), 0.3), NUM_USERS)  # float64[num_users, num_genres]
    quality = rng.normal(0, 0.4, NUM_MOVIES)
    popularity = 1.0 / (np.arange(NUM_MOVIES) + 20.0)  # Zipf-like: few movies are seen by many
    rng.shuffle(popularity)
    activity = rng.lognormal(0, 0.8, NUM_USERS)
    counts = np.clip((NUM_RATINGS * activity / activity.sum()).astype(int), 20, NUM_MOVIES // 4)

    rows = []
    for user, count in enumerate(counts):
        affinity = genre_weights @ tastes[user]  # float64[num_movies]
        chance = popularity * (affinity + 0.02)
        movies = rng.choice(NUM_MOVIES, size=count, replace=False, p=chance / chance.sum())
        taste_stars = 2.2 + 3.2 * affinity[movies] + quality[movies] + rng.normal(0, 0.6, count)
        stars = np.clip(np.round(taste_stars * 2) / 2, 0.5, 5.0)
        times = START_2015_S + np.sort(rng.integers(0, 5 * 365 * 86_400, count))
        rows.append(pd.DataFrame({"user_id": user + 1, "movie_id": movies + 1, "rating": stars, "timestamp": times}))
    ratings = pd.concat(rows, ignore_index=True).astype(
        {"user_id": "int64", "movie_id": "int64", "rating": "float32", "timestamp": "int64"}
    )
    movies_frame = _movies(rng, genre_weights)
    digest = hashlib.sha256(pd.util.hash_pandas_object(ratings).to_numpy().tobytes())
    digest.update(pd.util.hash_pandas_object(movies_frame).to_numpy().tobytes())
    return Dataset(NAME, ratings, movies_frame, digest.hexdigest(), generated=True)


def _movies(rng: np.random.Generator, genre_weights: np.ndarray) -> pd.DataFrame:
    titles = [f"{a} {b}{c}" for a, b, c in itertools.product(FIRST, SECOND, THIRD)]
    rng.shuffle(titles)
    years = rng.integers(1950, 2020, NUM_MOVIES)
    genres = ["|".join(g for g, weight in zip(GENRES, w, strict=True) if weight > 0.25) for w in genre_weights]
    return pd.DataFrame(
        {
            "movie_id": np.arange(1, NUM_MOVIES + 1, dtype=np.int64),
            "title": [f"{title} ({year})" for title, year in zip(titles, years, strict=True)],
            "year": years.astype(np.int64),
            "genres": genres,
        }
    )
