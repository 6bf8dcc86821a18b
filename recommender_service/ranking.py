"""Which movies come first: neighbours of an embedding, or the popular ones; as many as asked for, if they exist."""

from __future__ import annotations

import numpy as np

from recommender_service.release import Release

# Among many candidates the trees' ends come into play: measured recall falls below its target under this effort.
MIN_EFFORT_PER_CANDIDATE = 8


def nearest(
    release: Release, embedding: np.ndarray, limit: int, excluded: np.ndarray, search_k: int
) -> tuple[np.ndarray, np.ndarray]:
    """(int rows, float32 cosines) of the `limit` nearest trained movies that are not excluded, nearest first.

    embedding: float32[embedding_dim], unit length.  excluded: bool[num_movies].
    search_k: the effort calibrated for lists of `index.recall_k`; longer lists get proportionally more, and once that
    reaches the number of movies, they are all scored instead, which is exact and no dearer.
    Fewer than `limit` only if fewer are left.
    """
    num_movies = release.manifest.num_trained_movies
    excluded = excluded[:num_movies]
    num_excluded = int(np.count_nonzero(excluded))
    limit = min(limit, num_movies - num_excluded)
    wanted = limit + num_excluded
    effort = max(search_k, search_k * limit // release.manifest.index.recall_k, MIN_EFFORT_PER_CANDIDATE * wanted)
    if effort < num_movies:
        found, distances = release.index.get_nns_by_vector(embedding, wanted, effort, include_distances=True)
        rows = np.array(found, np.int64)
        kept = ~excluded[rows]
        rows = rows[kept][:limit]
        if len(rows) == limit:
            distance = np.array(distances, np.float32)[kept][:limit]
            return rows, 1 - distance * distance / 2  # both are of unit length
    return _scan(release.embeddings, embedding, limit, excluded)


def most_popular(release: Release, limit: int, excluded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(int rows, float32 share of users who liked them), most liked first.  excluded: bool[num_movies]."""
    rows = release.popular_rows[~excluded[release.popular_rows]][:limit]
    return rows, release.popularity[rows]


def _scan(
    embeddings: np.ndarray, embedding: np.ndarray, limit: int, excluded: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Exact: every movie that qualifies is scored."""
    if limit == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    scores = embeddings @ embedding  # float32[num_trained_movies]
    scores[excluded] = -np.inf
    rows = np.argpartition(scores, len(scores) - limit)[len(scores) - limit :]
    rows = rows[np.lexsort((rows, -scores[rows]))]  # ties by row
    return rows, scores[rows]
