"""Vectors on the unit sphere."""

from __future__ import annotations

import numpy as np

TINY = 1e-30  # a shorter vector counts as zero


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scale each row to length 1; rows of zeros stay zeros.  float[n, d] → float[n, d] of the same dtype."""
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), TINY)
    return unit
