"""Decompositions of matrices, by TensorFlow.

NumPy's OpenBLAS does them on all cores at once, and its threads wait for each other at every column. While another
program has one of the cores, each wait takes a turn of the scheduler: 6.2 s instead of 0.1 for 6,248 × 266.
"""

from __future__ import annotations

import numpy as np

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
