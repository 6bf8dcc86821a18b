"""The vectors of a release's movies, and what is derived from them for searches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from annoy import AnnoyIndex


@dataclass(frozen=True)
class IndexedVectors:
    """A vector for each trained movie, and the two ways to find the nearest ones.

    vectors: float32[num_trained_movies, any], rows of unit length.
    leading: float32[num_trained_movies, scan_dims], the leading components of the vectors, which find candidates; in
        Fortran order, which a multiplication by many queries reads twice as fast.
    index: Annoy over the same rows: over `indexed_vectors` of these, or else over the vectors; None if only scanned.
    recall_k: the length of list that efforts are calibrated for.
    """

    vectors: np.ndarray
    leading: np.ndarray
    index: AnnoyIndex | None
    recall_k: int

    @property
    def index_finds_candidates(self) -> bool:
        """Whether what the index finds is still to be ranked, because it knows the leading components only."""
        return self.index is not None and self.index.f != self.vectors.shape[1]


def leading_components(vectors: np.ndarray, scan_dims: int) -> np.ndarray:
    """float32[n, scan_dims], in Fortran order; the vectors themselves if they have no more or `scan_dims` is 0."""
    if not 0 < scan_dims < vectors.shape[1]:
        return vectors
    return np.asfortranarray(vectors[:, :scan_dims])


def indexed_vectors(vectors: np.ndarray, leading: np.ndarray) -> np.ndarray:
    """What an index is built over: float32[n, scan_dims + 1], the leading components and the length of the others.

    So all rows have unit length. To a query with 0 in the last place the nearest row by Euclidean distance is the one
    with the largest dot product of leading components (Bachrach et al. 2014). The vectors themselves if there is at
    most one other component.
    """
    num_dims, scan_dims = vectors.shape[1], leading.shape[1]
    if scan_dims + 1 >= num_dims:
        return vectors
    rest = vectors[:, scan_dims:]
    lengths = np.sqrt(np.einsum("ij,ij->i", rest, rest))  # unlike np.linalg.norm, it makes no copy of the vectors
    return np.hstack([leading, lengths[:, None]], dtype=np.float32)
