"""Which movies a step scores: all of them, or in a large catalogue the popular ones and a sample of the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_SCORED = 16_384  # movies; up to here all are scored, which is exact and costs little more
NUM_POPULAR, NUM_DRAWN = 2_048, 2_048  # movies of a larger catalogue that are always scored, and that are drawn


@dataclass(frozen=True)
class Candidates:
    """Movies over which the softmax's denominator is summed.

    rows: int64[n].  log_weights: float32[n], to be added to their logits. A drawn movie stands for itself and for those
    that were not drawn, so its weight is the number of the rest divided by the number drawn. Where popularity counts,
    it is added.
    """

    rows: np.ndarray
    log_weights: np.ndarray


class Partition:
    """Draws candidates; of a small catalogue they are always all movies."""

    def __init__(self, num_likes: np.ndarray, popularity_weight: float = 0.0) -> None:
        """num_likes: [num_movies], how often each movie is liked.

        popularity_weight: of the logarithm of these numbers, which is added to the movies' logits.
        """
        self.popularity = np.float32(popularity_weight) * np.log(np.maximum(num_likes, 1), dtype=np.float32)
        num_movies = len(num_likes)
        self.is_exact = num_movies <= MAX_SCORED
        by_popularity = np.argsort(-num_likes, kind="stable")
        self._popular = np.arange(num_movies) if self.is_exact else by_popularity[:NUM_POPULAR]
        self._rest = by_popularity[len(self._popular) :]

    def draw(self, rng: np.random.Generator) -> Candidates:
        """Return the popular movies and, of the others, NUM_DRAWN at random."""
        if self.is_exact:
            return Candidates(self._popular, self.popularity)
        drawn = rng.choice(self._rest, NUM_DRAWN, replace=False, shuffle=False)
        log_weights = np.zeros(NUM_POPULAR + NUM_DRAWN, np.float32)
        log_weights[NUM_POPULAR:] = np.log(len(self._rest) / NUM_DRAWN)
        rows = np.concatenate([self._popular, drawn])
        return Candidates(rows, log_weights + self.popularity[rows])
