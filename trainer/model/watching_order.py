"""Vectors that are near if users watch two movies shortly after one another.

People who watch one of two such movies are likely to watch the other next. So the movies that a user watched last tell
what comes next, where ratings have times. Without times there are no such vectors.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from trainer.data.interactions import Interactions
from trainer.model.spectral_start import right_singular_vectors
from trainer.model.vectors import unit_rows
from trainer.workers.matrices import matrix_to_chief
from trainer.workers.workers import ALONE, Workers, total

DIM = 128
RECENCY = 30.0  # a movie after which the user watched a tenth of all theirs counts exp(−3): the last few tell
WATCHED_WEIGHT = 0.5  # of a movie that was watched and not liked, where a liked one counts 1
MIN_RECURRENCE = 2.0  # it is 7 on ml-latest-small, and 1 where times are drawn at random
WINDOW = 5  # a movie's neighbours are the five that the user watched before it and the five after it
DECAY = 3.0  # the next neighbour counts 1, the one at distance 1 + DECAY counts 1/e
MAX_RATINGS = 3_000_000  # more are sampled by user: pairs are counted in seconds then, and suffice
SMOOTHING = 0.75  # power of a movie's frequency as a neighbour (Levy, Goldberg and Dagan 2015): favours rare ones less
SEED = 0


def order_vectors(known: Interactions, workers: Workers = ALONE) -> np.ndarray:
    """Return float32[num_trained_movies, DIM] with unit rows; zeros for a movie without neighbours.

    The leading singular vectors of the positive pointwise mutual information of neighbours. They have no columns where
    times are missing or equal, or where the order tells nothing: see `_recurrence`.

    workers: each has the ratings of its users, and the chief decomposes the sum.
    """
    num_movies = known.num_trained_movies
    users, movies = _in_order(known, workers)
    if _recurrence(users, movies, num_movies, workers) < MIN_RECURRENCE:
        return np.zeros((num_movies, 0), np.float32)
    by_worker = matrix_to_chief(workers, _neighbours(users, movies, num_movies))
    vectors = workers.on_chief(lambda: _decomposed(by_worker, num_movies))
    return workers.from_chief(np.zeros((num_movies, DIM), np.float32) if vectors is None else vectors)


def recent_order(known: Interactions, order: np.ndarray) -> np.ndarray:
    """Return float32[num_users, DIM] with unit rows: where the movies lie that each user watched last; or zeros.

    order: float32[num_trained_movies, DIM], as `order_vectors` returns.
    """
    return unit_rows(known.history(RECENCY, WATCHED_WEIGHT) @ order)


def _decomposed(by_worker: sparse.csr_matrix, num_movies: int) -> np.ndarray:
    """by_worker: CSR float32[num_workers · num_movies, num_movies], how often two movies are neighbours."""
    counts = sparse.csr_matrix((num_movies, num_movies), dtype=np.float32)
    for start in range(0, by_worker.shape[0], num_movies):
        counts += by_worker[start : start + num_movies]
    return unit_rows(right_singular_vectors(_positive_pmi(counts), DIM, np.random.default_rng(SEED)))


def _in_order(known: Interactions, workers: Workers) -> tuple[np.ndarray, np.ndarray]:
    """Return (users, rows of movies), int[n] each: what users watched, each user's in the order of watching.

    Of users whose order is known; of so many, drawn at random, that there are about MAX_RATINGS in all.
    """
    rng = np.random.default_rng(SEED)
    num_users, num_movies = known.watched.shape[0], known.num_trained_movies
    users = np.repeat(np.arange(num_users), np.diff(known.watched.indptr))
    share = MAX_RATINGS / max(total(workers, len(users)), 1)
    is_kept = _has_order(known) & (rng.random(num_users) < share)
    kept = is_kept[users] & (known.watched.indices < num_movies)
    users, movies, freshness = users[kept], known.watched.indices[kept], known.freshness[kept]
    by_chance = rng.permutation(num_movies)  # the order of movies rated at one time, which says nothing
    in_order = np.lexsort((by_chance[movies], freshness, users))
    return users[in_order], movies[in_order]


def _recurrence(users: np.ndarray, movies: np.ndarray, num_movies: int, workers: Workers) -> float:
    """Return how many times as often as by chance two users watch the same two movies one after the other.

    users, movies: as `_in_order` returns.
    """
    shuffled = np.lexsort((np.random.default_rng(SEED).random(len(users)), users))
    in_order, by_chance = workers.sum(
        np.array([_shared_pairs(users, of, num_movies) for of in (movies, movies[shuffled])], np.float64)
    )
    return float(in_order / max(by_chance, 1))


def _shared_pairs(users: np.ndarray, movies: np.ndarray, num_movies: int) -> int:
    """Return for how many pairs of users two movies are next to each other, summed over all two movies."""
    of_one_user = users[1:] == users[:-1]
    before, after = movies[:-1][of_one_user].astype(np.int64), movies[1:][of_one_user].astype(np.int64)
    pairs = np.minimum(before, after) * num_movies + np.maximum(before, after)
    counts = np.unique(pairs, return_counts=True)[1]
    return int((counts * (counts - 1)).sum() // 2)


def _neighbours(users: np.ndarray, movies: np.ndarray, num_movies: int) -> sparse.csr_matrix:
    """Return float32[num_movies, num_movies], symmetric: how often two movies are neighbours."""
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
