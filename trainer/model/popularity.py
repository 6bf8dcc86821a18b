"""Popularity in the embeddings: what tastes cannot say, because in a softmax of cosines all movies are about as likely.

A share of the logarithm of a movie's likes is added to the logits. In the embeddings that are served it is a component,
so that their cosine still ranks. The flatter the search for a temperature leaves the softmax, the less ratings tell of
tastes, and the more popularity counts.
"""

from __future__ import annotations

import numpy as np

from trainer.model.hyperparameters import default_temperature
from trainer.model.vectors import TINY, unit_rows

NUM_COMPONENTS = 2  # that an embedding gets in front of its own
FILLING = 1  # the place of the one that brings a movie to length 1, and is 0 for users
LEAST_WEIGHT = 0.1  # .05 and .15 are as good, .3 is worse on most data sets
LEAST_RATIO = 1.4  # of the temperature to the rule's: a search that comes nearer says that cosines tell enough


def popularity_weight(temperature: float, num_likes: np.ndarray) -> float:
    """Return what the logarithm of a movie's likes is multiplied by before it is added to the logits, in [0, 1).

    num_likes: int64[num_movies], at least 1 each.
    """
    ratio = temperature / default_temperature(num_likes)
    return 1 - 1 / ratio if ratio >= LEAST_RATIO else LEAST_WEIGHT


def with_popularity(
    users: np.ndarray, movies: np.ndarray, temperatures: np.ndarray, popularity: np.ndarray, temperature: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return (users, movies, component) whose cosines rank as the logits do, popularity included.

    The first component of a movie is its popularity, and that of a user how much it counts. The second brings the
    movies to length 1; it is 0 for users, so that it changes no dot product. The component is what the typical user's
    has before the embedding is brought to length 1: see `users_with_popularity`. It is chosen so that the cosines
    shrink as little as they can.

    users, movies: float32[n, d], rows of any length, zeros for a user without positives.
    temperatures: float32[num_users].  popularity: float32[num_movies], what is added to the logits.
    temperature: the typical user's.
    """
    centred = np.float32(temperature) * (popularity - (popularity.min() + popularity.max()) / 2)
    component = float(np.sqrt(max(np.abs(centred).max(), TINY)))
    told = centred / np.float32(component)
    squares = np.square(told) + np.square(movies).sum(axis=1)
    missing = np.sqrt(squares.max() - squares)
    movies = unit_rows(np.column_stack([told, missing, movies]).astype(np.float32))
    return users_with_popularity(users, component * temperatures / temperature), movies, component


def users_with_popularity(tastes: np.ndarray, components: np.ndarray | float) -> np.ndarray:
    """Return float32[num_users, NUM_COMPONENTS + d], unit rows; zeros for a user without a taste.

    tastes: float32[num_users, d], zeros for some.  components: float[num_users], or one for all; the typical user's
    is what `with_popularity` returned.
    """
    counts = np.where(tastes.any(axis=1), components, 0).astype(np.float32)
    return unit_rows(np.column_stack([counts, np.zeros_like(counts), tastes]))
