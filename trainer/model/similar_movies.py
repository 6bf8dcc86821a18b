"""Vectors whose cosine tells how alike two movies are: who likes them, their genres, their years.

The learned embeddings share a direction, for everybody likes popular movies: without it (centred), a popular movie is
no longer near to all others. Genres and years add what few ratings cannot tell, and give unrated movies a place.

`python -m trainer compare` shows what it is worth.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from trainer.model.vectors import unit_rows

GENRES_WEIGHT, YEAR_WEIGHT = 0.3, 0.2  # against 1 for what is learned
FIRST_YEAR, LAST_YEAR, YEARS_BETWEEN = 1900, 2040, 5  # of the points that years are described by
YEARS_ALIKE = 6.0  # width of a point's bell


def similar_movie_vectors(movies: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """float32[len(table), s] of unit length; zeros for a movie of which nothing is known.

    movies: float32[num_trained_movies, d], learned.  table: `year` (0 if unknown) and `genres` (joined by "|") of these
    movies and then of others, which nobody liked.
    """
    centred = unit_rows(movies - movies.mean(axis=0))
    learned = np.vstack([centred, np.zeros((len(table) - len(movies), movies.shape[1]))])
    parts = [learned, GENRES_WEIGHT * _genres(table["genres"]), YEAR_WEIGHT * _years(table["year"].to_numpy())]
    return unit_rows(np.hstack(parts)).astype(np.float32)


def _genres(listed: pd.Series) -> np.ndarray:
    """float64[num_movies, num_genres] of unit length: 1 for a genre, weighted by its inverse document frequency."""
    # as objects: on Arrow's strings pandas 3.1 gives a movie without genres the first genre of all
    has = listed.astype(object).str.get_dummies("|").to_numpy(np.float64)
    return unit_rows(has * np.log((1 + len(has)) / np.maximum(has.sum(axis=0), 1)))


def _years(years: np.ndarray) -> np.ndarray:
    """float64[num_movies, num_points] of unit length: the nearer two years, the larger the dot product."""
    points = np.arange(FIRST_YEAR, LAST_YEAR, YEARS_BETWEEN)
    clipped = np.clip(years, FIRST_YEAR, LAST_YEAR)[:, None]
    return unit_rows(np.where(years[:, None] > 0, np.exp(-(((clipped - points) / YEARS_ALIKE) ** 2)), 0))
