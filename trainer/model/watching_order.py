"""Vectors that are near if users watch two movies shortly after one another."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from trainer.data.interactions import Interactions
from trainer.model.spectral_start import right_singular_vectors
from trainer.model.vectors import unit_rows

WINDOW = 5  # a movie's neighbours are the five that the user watched before it and the five after it
DECAY = 3.0  # the next neighbour counts 1, the one at distance 1 + DECAY counts 1/e
MAX_RATINGS = 3_000_000  # more are sampled by user: pairs are counted in seconds then, and suffice
SMOOTHING = 0.75  # power of a movie's frequency as a neighbour (Levy, Goldberg and Dagan 2015): favours rare ones less
SEED = 0


def order_vectors(known: Interactions, dim: int) -> np.ndarray:
    """Return float32[num_trained_movies, dim] with unit rows; zeros for a movie without neighbours.

    The leading singular vectors of the positive pointwise mutual information of neighbours. All are zeros where times
    are missing or equal.
    """
    counts = _neighbours(known)
    association = _positive_pmi(counts)
    if not association.nnz:
        return np.zeros((known.num_trained_movies, dim), np.float32)
    return unit_rows(right_singular_vectors(association, dim, np.random.default_rng(SEED)))


def _neighbours(known: Interactions) -> sparse.csr_matrix:
    """Return float32[num_trained_movies, num_trained_movies], symmetric: how often two movies are neighbours."""
    rng = np.random.default_rng(SEED)
    num_users, num_movies = known.watched.shape[0], known.num_trained_movies
    users = np.repeat(np.arange(num_users), np.diff(known.watched.indptr))
    share = MAX_RATINGS / max(len(users), 1)
    is_kept = _has_order(known) & (rng.random(num_users) < share)
    kept = is_kept[users] & (known.watched.indices < num_movies)
    users, movies, freshness = users[kept], known.watched.indices[kept], known.freshness[kept]
    by_chance = rng.permutation(num_movies)  # the order of movies rated at one time, which says nothing
    in_order = np.lexsort((by_chance[movies], freshness, users))
    users, movies = users[in_order], movies[in_order]
    counts = sparse.csr_matrix((num_movies, num_movies), dtype=np.float32)
    for distance in range(1, WINDOW + 1):
        of_one_user = users[distance:] == users[:-distance]
        before, after = movies[:-distance][of_one_user], movies[distance:][of_one_user]
        weight = np.full(len(before), np.exp(-(distance - 1) / DECAY), np.float32)
        counts += sparse.csr_matrix((weight, (before, after)), shape=counts.shape)
    return sparse.csr_matrix(counts + counts.T)


def _has_order(known: Interactions) -> np.ndarray:
    """Return bool[num_users]: whether the user's ratings are of more than one time."""
    starts = known.watched.indptr[:-1]
    newest, oldest = (ends.reduceat(known.freshness, starts) for ends in (np.maximum, np.minimum))
    has_order: np.ndarray = newest > oldest
    return has_order


def _positive_pmi(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return CSR float32: log of how much more often than by chance two movies are neighbours, where it is above 0.

    One is added to each movie's count, so that movies with few neighbours are not near to all of them.
    """
    total = np.asarray(counts.sum(axis=1), np.float64).ravel()
    as_neighbour = total**SMOOTHING / max((total**SMOOTHING).sum(), 1e-12)
    pairs = counts.tocoo()
    information = np.log(pairs.data / ((total[pairs.row] + 1) * as_neighbour[pairs.col]))
    kept = (information > 0) & (pairs.row != pairs.col)
    values, places = information[kept].astype(np.float32), (pairs.row[kept], pairs.col[kept])
    return sparse.csr_matrix(sparse.csr_matrix((values, places), shape=counts.shape).T)
