"""Vectors on the unit sphere."""

from __future__ import annotations

import numpy as np

from trainer.data.records import DataError
from trainer.model.decompositions import eigh

TINY = 1e-30  # a shorter vector counts as zero


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scale each row to length 1; rows of zeros stay zeros.  float[n, d] → float[n, d] of the same dtype."""
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), TINY)
    return unit


def principal_axes(*sets: np.ndarray) -> np.ndarray:
    """Return the axes along which vectors vary, float32[d, d], orthonormal columns, those of most variance first.

    They are the eigenvectors of the sum of setᵀ·set / len(set), so each set counts alike. `vectors @ axes` has the same
    dot products as `vectors`, and most of them in its leading components.

    sets: each float32[any, d].  Raises DataError if they are not finite.
    """
    if not all(np.isfinite(vectors).all() for vectors in sets):
        raise DataError("expected finite embeddings, got NaN or infinity: the training diverged; lower --learning-rate")
    moments = sum((vectors.T @ vectors).astype(np.float64) / len(vectors) for vectors in sets)  # float64[d, d]
    _, axes = eigh(moments)  # ascending
    axes = axes[:, ::-1]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[largest, np.arange(axes.shape[1])])  # else the signs would be arbitrary
    result: np.ndarray = axes.astype(np.float32)
    return result
