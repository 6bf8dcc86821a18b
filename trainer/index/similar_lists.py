"""The most similar movies of every movie, found once so that the service need not search for them."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from protos.release.v1.search import Effort, nearest
from protos.release.v1.vectors import IndexedVectors
from trainer.stages import BAR

LENGTH = 50  # of a list; longer answers and filters that leave too few are searched for
BLOCK = 512  # movies scored at once
MAX_SCORES = 3e10  # an exact ranking of so many pairs takes minutes; beyond, the index is searched


def similar_lists(vectors: np.ndarray, movies: IndexedVectors, effort: Effort) -> tuple[np.ndarray, np.ndarray]:
    """Return (int32[num_movies, LENGTH] rows of trained movies, nearest first; float32 of that shape, their cosines).

    After the last movie of a list, rows are −1 and cosines 0. A movie is not in its own list, and the list of a movie
    with a vector of zeros is empty.

    vectors: float32[num_movies, s], those of the trained movies first.  movies: the vectors of the trained movies.
    effort: with which they are searched if there are too many for an exact ranking.
    """
    num_movies, num_trained = len(vectors), len(movies.vectors)
    length = min(LENGTH, num_trained)
    rows = np.full((num_movies, LENGTH), -1, np.int32)
    cosines = np.zeros((num_movies, LENGTH), np.float32)
    if num_movies * num_trained > MAX_SCORES:
        for row in np.flatnonzero(vectors.any(axis=1)):
            found, scores = nearest(movies, effort, vectors[row], length, np.array([row]))
            rows[row, : len(found)], cosines[row, : len(found)] = found, scores
        return rows, cosines
    for start in tqdm(range(0, num_movies, BLOCK), "finding similar movies", unit="block", **BAR):
        block = vectors[start : start + BLOCK]
        scores = block @ movies.vectors.T  # float32[B, num_trained]
        own = np.arange(start, min(start + len(block), num_trained))
        scores[own - start, own] = -np.inf
        scores[~block.any(axis=1)] = -np.inf
        best = np.argpartition(-scores, length - 1, axis=1)[:, :length]
        order = np.lexsort((best, -np.take_along_axis(scores, best, axis=1)), axis=1)
        best = np.take_along_axis(best, order, axis=1)
        of_best = np.take_along_axis(scores, best, axis=1)
        is_movie = of_best > -np.inf
        rows[start : start + len(block), :length] = np.where(is_movie, best, -1)
        cosines[start : start + len(block), :length] = np.where(is_movie, of_best, 0)
    return rows, cosines
