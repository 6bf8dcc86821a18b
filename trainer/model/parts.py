"""What an embedding is made of: tastes, the order of watching, and popularity.

The dot product of a user and a movie is the cosine of their tastes, plus a share of how near the movie is to those that
the user watched last, plus the movie's popularity. Newcomers are embedded from the same parts as users of the release.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.model.popularity import users_with_popularity
from trainer.model.vectors import unit_rows

ORDER_WEIGHT = 0.16  # a cosine of the order of watching counts so much of a cosine of tastes
ORDER_LENGTH = float(np.sqrt(ORDER_WEIGHT))  # of vectors of the order, beside tastes of length 1


@dataclass(frozen=True)
class Parts:
    """The parts of the trained movies, and how they are joined.

    tastes: float32[num_trained_movies, t], unit rows.
    order: float32[num_trained_movies, o], unit rows or zeros: see `order_vectors`.
    axes: float32[t + o, d], along which tastes and order are told together.
    popularity_component: what `with_popularity` returned, or 0 if no component tells of popularity.
    """

    tastes: np.ndarray
    order: np.ndarray
    axes: np.ndarray
    popularity_component: float

    @classmethod
    def of_tastes(cls, tastes: np.ndarray) -> Parts:
        """Return the parts of embeddings that are tastes and nothing else.  tastes: float32[num_movies, d]."""
        num_movies, dim = tastes.shape
        return cls(tastes, np.zeros((num_movies, 0), np.float32), np.eye(dim, dtype=np.float32), 0.0)

    def users(self, tastes: np.ndarray, order: np.ndarray, component: np.ndarray | float | None = None) -> np.ndarray:
        """Return the embeddings of users: unit rows, zeros for a user without a taste.

        tastes: float32[num_users, t], unit rows or zeros.  order: float32[num_users, o], unit rows or zeros.
        component: as for `users_with_popularity`; None: the typical user's.
        """
        both = beside(tastes, order) @ self.axes
        if not self.popularity_component:
            return unit_rows(both)
        return users_with_popularity(both, self.popularity_component if component is None else component)


def beside(tastes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return float32[n, t + o]: rows whose dot product is the cosine of tastes and a share of that of the order."""
    return np.hstack([tastes, np.float32(ORDER_LENGTH) * order])
