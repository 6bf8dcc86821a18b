"""Popularity in the embeddings, where ratings tell so little of tastes that it predicts better than they do.

In a flat softmax of cosines no movie can be a hundred times as likely as another. So the flatter the search for a
temperature leaves the softmax, the more of the logarithm of popularity is added to the logits. In the embeddings that
are served it is a component, so that their cosine still ranks.
"""

from __future__ import annotations

import numpy as np

from trainer.model.hyperparameters import default_temperature
from trainer.model.vectors import unit_rows

NUM_COMPONENTS = 2  # that an embedding gets in front of its own
LEAST_RATIO = 1.4  # of the temperature to the rule's: a search that comes nearer says that cosines tell enough


def popularity_weight(temperature: float, num_likes: np.ndarray) -> float:
    """Return what the logarithm of a movie's likes is multiplied by before it is added to the logits, in [0, 1).

    num_likes: int64[num_movies], at least 1 each.
    """
    ratio = temperature / default_temperature(num_likes)
    return 1 - 1 / ratio if ratio >= LEAST_RATIO else 0.0


def with_popularity(
    users: np.ndarray, movies: np.ndarray, temperatures: np.ndarray, popularity: np.ndarray, temperature: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return (users, movies, temperature) whose cosines rank as the logits do, popularity included.

    The first component of a movie is its popularity, and that of a user how much it counts. The second brings the
    movies to length 1; it is 0 for users, so that it changes no dot product. Divided by the new temperature, a typical
    user's cosines give the same logits as before, up to a constant.

    users, movies: float32[n, d] with unit rows, zeros for a user without positives.
    temperatures: float32[num_users].  popularity: float32[num_movies], what is added to the logits.
    temperature: the typical user's.
    """
    centred = popularity - (popularity.min() + popularity.max()) / 2
    component = np.float32(temperature) * centred
    square_length = 1 + np.square(component).max()
    missing = np.sqrt(np.maximum(square_length - 1 - np.square(component), 0))
    counts = np.where(users.any(axis=1), temperatures / np.float32(temperature), 0).astype(np.float32)
    movies = unit_rows(np.column_stack([component, missing, movies]).astype(np.float32))
    users = unit_rows(np.column_stack([counts, np.zeros_like(counts), users]))
    return users, movies, float(temperature / np.sqrt(2 * square_length))
