"""Where the embeddings start: at the singular vectors of the histories, which training then only has to refine."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from trainer.model.decompositions import eigh, qr
from trainer.model.vectors import TINY, unit_rows
from trainer.workers.workers import ALONE, Workers, total

OVERSAMPLING = 10  # more directions than are kept, so that the last ones kept are accurate
MAX_ENTRIES = 4_000_000  # of the matrix; a sample of the users tells the movies' directions as well
PASSES = 2  # over the matrix and back; more change the singular vectors, but not the figures


def spectral_start(
    histories: sparse.csr_matrix, dim: int, rng: np.random.Generator, workers: Workers = ALONE
) -> np.ndarray:
    """Return float32[num_movies, dim] with unit rows: movies that the same users watched point the same way.

    The rows are the leading right singular vectors of D_users^-½ · histories · D_movies^-½, each times the square root
    of its singular value, from a randomized decomposition (Halko, Martinsson and Tropp 2011, algorithm 4.4). Columns
    beyond the rank of the matrix are zeros, and so are the rows of movies that none of the sampled users watched.

    histories: CSR float32[num_users, num_movies], no empty row, and no empty column; of several workers, each has the
    rows of its users.  rng: in the same state on all workers.
    """
    histories = _sample(histories, rng, workers)
    by_user = 1 / np.sqrt(np.asarray(histories.sum(axis=1)).ravel())
    by_movie = 1 / np.sqrt(np.maximum(workers.sum(np.asarray(histories.sum(axis=0)).ravel()), TINY))
    matrix = sparse.csr_matrix(sparse.diags(by_user) @ histories @ sparse.diags(by_movie), dtype=np.float32)
    return unit_rows(right_singular_vectors(matrix, dim, rng, workers))


def right_singular_vectors(
    matrix: sparse.csr_matrix, dim: int, rng: np.random.Generator, workers: Workers = ALONE
) -> np.ndarray:
    """Return float32[m, dim]: the leading right singular vectors, each times the square root of its singular value.

    They come from a randomized decomposition. Columns beyond the rank of the matrix are zeros.

    matrix: CSR float32[n, m]; of several workers, each has some of the rows. Only products float32[m, width] travel.
    """
    shape = (total(workers, matrix.shape[0]), matrix.shape[1])
    rank = min(dim, *shape)
    transposed = sparse.csr_matrix(matrix.T)
    width = min(rank + OVERSAMPLING, *shape)
    start = rng.standard_normal((shape[1], width), np.float32)
    basis = _orthonormal(matrix @ start, workers)  # float32[n, width]
    for _ in range(PASSES):
        basis = _orthonormal(matrix @ workers.sum(transposed @ basis), workers)
    projected = workers.sum(transposed @ basis)  # float32[m, width] = right · singular values · rotation
    squares, rotation = eigh(projected.T.astype(np.float64) @ projected)  # ascending
    leading = np.argsort(-squares)[:rank]
    scale = np.maximum(squares[leading], 1e-12) ** -0.25  # singular values to the power −½
    vectors = (projected @ rotation[:, leading].astype(np.float32)) * scale.astype(np.float32)
    return np.pad(vectors, ((0, 0), (0, dim - rank)))


def _sample(histories: sparse.csr_matrix, rng: np.random.Generator, workers: Workers) -> sparse.csr_matrix:
    """Return the histories of so many users, drawn at random, that all workers' have about MAX_ENTRIES entries."""
    entries = total(workers, histories.nnz)
    if entries <= MAX_ENTRIES:
        return histories
    num_users = histories.shape[0]
    return histories[np.sort(workers.own(rng).choice(num_users, num_users * MAX_ENTRIES // entries, replace=False))]


def _orthonormal(vectors: np.ndarray, workers: Workers) -> np.ndarray:
    """Return float32[n, d]: this worker's rows of orthonormal columns that span those of all workers' `vectors`.

    The triangular factors of all workers' rows are decomposed once more (Demmel et al. 2012, TSQR).
    """
    basis, triangle = qr(vectors)
    if workers.count > 1:
        triangles = workers.gather(triangle)
        ends = np.cumsum([len(own) for own in triangles])
        rotation = qr(np.concatenate(triangles))[0]  # the same on all workers
        basis = basis @ rotation[ends[workers.rank] - len(triangle) : ends[workers.rank]]
    orthonormal: np.ndarray = basis.astype(np.float32)
    return orthonormal
