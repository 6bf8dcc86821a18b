"""Vectors whose cosine tells how alike two movies are: who likes them, when they are watched, what they are.

The learned embeddings share a direction, because everybody likes popular movies. Subtracting their mean removes it, so
that a popular movie is no longer near to all others. The order of watching tells of movies that belong together; words
of titles tell of sequels. Genres, years and words give a vector to movies that nobody liked.

`python -m trainer compare` measures these vectors against the learned embeddings alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from trainer.model.content import content_of
from trainer.model.decompositions import principal_axes
from trainer.model.vectors import unit_rows

ORDER_WEIGHT, WORDS_WEIGHT = 0.5, 0.4  # the learned part has weight 1
GENRES_WEIGHT, YEAR_WEIGHT = 0.3, 0.2
MAX_DIM = 640  # of the vectors; their other components hardly change the figures


def similar_movie_vectors(tastes: np.ndarray, order: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Return float32[len(table), s] with unit rows; zeros for a movie of which nothing is known.

    tastes, order: as in `Parts`.
    table: as for `content_of`, of these movies, followed by those that nobody liked.
    """
    learned = np.hstack([unit_rows(tastes - tastes.mean(axis=0)), ORDER_WEIGHT * order])
    content = content_of(table)
    described = [GENRES_WEIGHT * content.genres, YEAR_WEIGHT * content.years, WORDS_WEIGHT * content.words]
    padded = np.pad(learned, ((0, len(table) - len(tastes)), (0, 0)))
    vectors = unit_rows(np.hstack([padded, *described])).astype(np.float32)
    return unit_rows(vectors @ principal_axes(vectors)[:, :MAX_DIM])
