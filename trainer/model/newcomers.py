"""Embeddings of people whom the model was not trained with, as the `fold_in` signature of the user tower makes them."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from trainer.model.cosine_softmax import Embeddings
from trainer.model.fold_in import fold_in, newcomer_temperatures
from trainer.model.vectors import unit_rows


def newcomer_embeddings(
    likes: sparse.csr_matrix, embeddings: Embeddings, recent: sparse.csr_matrix | None = None
) -> np.ndarray:
    """Return float32[num_newcomers, d], unit rows; zeros for somebody without likes.

    likes: CSR float32[num_newcomers, num_trained_movies], how much each movie counts.
    recent: of the same shape, how much each counts as one of those that they watched last; None: as in `likes`.
    """
    parts = embeddings.parts
    num_movies = likes.shape[1]
    temperatures = newcomer_temperatures(embeddings.temperature, likes)
    tastes = fold_in(likes, parts.tastes[:num_movies], temperatures)
    order = unit_rows((likes if recent is None else recent) @ parts.order[:num_movies])
    return parts.users(tastes, order)
