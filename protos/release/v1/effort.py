"""The rule of search effort: how many nodes Annoy inspects. Trainer and service both follow it."""

from __future__ import annotations

import math

# Measured recall falls below its target under this effort: among many candidates the ends of the trees matter.
MIN_EFFORT_PER_CANDIDATE = 8


def search_effort(search_k: int, recall_k: int, limit: float, candidates: int) -> int:
    """Annoy's `search_k` for a list.

    search_k: the calibrated effort for lists of `recall_k`.
    limit: how many movies are wanted, divided by the share of movies that qualify.
    candidates: how many neighbours Annoy is asked for: `limit` and those that are dropped afterwards.
    """
    return max(search_k, math.ceil(search_k * limit / recall_k), MIN_EFFORT_PER_CANDIDATE * candidates)
