"""Embeddings of people whom the model was not trained with, as the user tower makes them."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from trainer.model.cosine_softmax import Embeddings
from trainer.model.fold_in import fold_in, newcomer_temperatures
from trainer.model.vectors import unit_rows

# Of likes in the order of liking, one after which so many others came counts 1/e of the latest:
TASTE_SPAN = 10.0  # in the newcomer's taste
NEXT_SPAN = 3.0  # in what comes next


def counts_in_order(newer: sparse.csr_matrix) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return how much each like counts in tastes and in what comes next, where the order of liking is known.

    newer: CSR float32[num_newcomers, num_trained_movies], for each like one more than how many of the newcomer's are
    newer. Both results have its shape.
    """
    both = newer.copy(), newer.copy()
    for counts, span in zip(both, (TASTE_SPAN, NEXT_SPAN), strict=True):
        counts.data = np.exp((1 - newer.data) / np.float32(span))
    return both


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
