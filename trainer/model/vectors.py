"""Vectors on the unit sphere."""

from __future__ import annotations

import numpy as np

TINY = 1e-30  # a length below it is none


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """float[n, d] of the same dtype, each row scaled to length 1; rows of zeros stay."""
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), TINY)
    return unit
