"""Embeddings of people whom the model was not trained with, as the `fold_in` signature of the user tower makes them."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from trainer.model.cosine_softmax import Embeddings
from trainer.model.fold_in import fold_in, newcomer_temperatures
from trainer.model.popularity import users_with_popularity


def newcomer_embeddings(likes: sparse.csr_matrix, embeddings: Embeddings) -> np.ndarray:
    """Return float32[num_newcomers, d], unit rows; zeros for somebody without likes.

    likes: CSR float32[num_newcomers, num_trained_movies], how much each movie counts.
    """
    temperatures = newcomer_temperatures(embeddings.temperature, likes)
    tastes = fold_in(likes, embeddings.tastes[: likes.shape[1]], temperatures)
    if not embeddings.popularity_component:
        return tastes
    return users_with_popularity(tastes, embeddings.popularity_component)
