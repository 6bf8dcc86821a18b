"""Vectors whose cosine tells how alike two movies are: who likes them, their genres, their years.

The learned embeddings share a direction, because everybody likes popular movies. Subtracting their mean removes it, so
that a popular movie is no longer near to all others. Genres and years add what few ratings cannot tell, and give a
vector to movies that nobody rated.

`python -m trainer compare` measures these vectors against the learned embeddings alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from protos.release.v1.layout import GENRE_SEPARATOR
from trainer.model.vectors import principal_axes, unit_rows

GENRES_WEIGHT, YEAR_WEIGHT = 0.3, 0.2  # the learned part has weight 1
FIRST_YEAR, LAST_YEAR, YEARS_BETWEEN = 1900, 2040, 5  # the grid of points that describe a year
BELL_WIDTH_YEARS = 6.0  # a point's value falls to 1/e at this distance from the movie's year


def similar_movie_vectors(movies: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Return float32[len(table), s] with unit rows; zeros for a movie without embedding, genre and year.

    movies: float32[num_trained_movies, d], the learned embeddings.
    table: `year` (0 if unknown) and `genres` (joined by "|") of these movies, followed by those that nobody liked.
    """
    centred = unit_rows(movies - movies.mean(axis=0))
    learned = np.vstack([centred, np.zeros((len(table) - len(movies), movies.shape[1]))])
    parts = [learned, GENRES_WEIGHT * _genres(table["genres"]), YEAR_WEIGHT * _years(table["year"].to_numpy())]
    vectors = unit_rows(np.hstack(parts)).astype(np.float32)
    return unit_rows(vectors @ principal_axes(vectors))


def _genres(listed: pd.Series) -> np.ndarray:
    """Return float64[num_movies, num_genres] with unit rows: each genre weighted by its inverse document frequency."""
    # As objects: on Arrow's strings pandas gives a movie without genres the first genre of all.
    has = listed.astype(object).str.get_dummies(GENRE_SEPARATOR).to_numpy(np.float64)
    return unit_rows(has * np.log((1 + len(has)) / np.maximum(has.sum(axis=0), 1)))


def _years(years: np.ndarray) -> np.ndarray:
    """Return float64[num_movies, num_points] with unit rows: the nearer two years, the larger their dot product."""
    points = np.arange(FIRST_YEAR, LAST_YEAR, YEARS_BETWEEN)
    clipped = np.clip(years, FIRST_YEAR, LAST_YEAR)[:, None]
    return unit_rows(np.where(years[:, None] > 0, np.exp(-(((clipped - points) / BELL_WIDTH_YEARS) ** 2)), 0))
