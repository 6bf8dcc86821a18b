"""Sends sparse matrices, whose rows the workers have apart, to the chief."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from trainer.workers.workers import Workers


def matrix_to_chief(workers: Workers, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return all workers' rows, those of lower ranks first, on the chief; a matrix without rows elsewhere.

    matrix: CSR float32[any, num_columns].
    """
    if workers.count == 1:
        return matrix
    lengths = workers.to_chief(np.diff(matrix.indptr).astype(np.int64))
    indices, data = workers.to_chief(matrix.indices.astype(np.int32)), workers.to_chief(matrix.data)
    return sparse.csr_matrix((data, indices, np.append(0, np.cumsum(lengths))), (len(lengths), matrix.shape[1]))
