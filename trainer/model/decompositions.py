"""Decompositions of matrices, by TensorFlow, and the axes along which vectors vary.

NumPy's OpenBLAS does them on all cores at once, and its threads wait for each other at every column. While another
program has one of the cores, each wait takes a turn of the scheduler: 6.2 s instead of 0.1 for 6,248 × 266.
"""

from __future__ import annotations

import numpy as np

from trainer.data.records import DataError
from trainer.model.tensorflow_quietly import tf


def qr(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (q, r) whose product is the matrix, q with orthonormal columns and r upper triangular.

    matrix: float[n, d]. The results have its dtype; q is [n, min(n, d)].
    """
    orthonormal, triangle = tf.linalg.qr(matrix)
    return orthonormal.numpy(), triangle.numpy()


def eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues, ascending, and the eigenvectors as columns.  matrix: float[d, d], symmetric."""
    values, vectors = tf.linalg.eigh(matrix)
    return values.numpy(), vectors.numpy()


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
