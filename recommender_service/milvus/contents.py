"""What is put into a collection: its fields, a row for each movie, and queries that prove it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.milvus import collection as names

ROWS_AT_ONCE = 1_000  # 2 MB
NUM_PROBES = 100


def create(client: MilvusClient, name: str, movies: Sequence[api.Movie], dim: int, similarity_dim: int) -> None:
    """Create an empty collection for these movies.  dim, similarity_dim: lengths of the two vectors."""
    genres = [genre for movie in movies for genre in movie.genres]
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(names.MOVIE_ID, DataType.INT64, is_primary=True)
    schema.add_field(names.ROW, DataType.INT64)
    schema.add_field(names.YEAR, DataType.INT64)
    schema.add_field(
        names.GENRES,
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=max([1, *(len(movie.genres) for movie in movies)]),
        max_length=max([1, *(len(genre.encode()) for genre in genres)]),
    )
    schema.add_field(names.EMBEDDING, DataType.FLOAT_VECTOR, dim=dim)
    schema.add_field(names.SIMILARITY, DataType.FLOAT_VECTOR, dim=similarity_dim)
    client.create_collection(name, schema=schema, consistency_level="Eventually")  # once complete, it never changes


def batches(
    movies: Sequence[api.Movie], embeddings: np.ndarray, similarity: np.ndarray
) -> Iterator[list[dict[str, Any]]]:
    """Milvus' rows of all movies. Those without an embedding get zeros, and no search reaches them."""
    zeros = np.zeros(embeddings.shape[1], np.float32)
    for start in range(0, len(movies), ROWS_AT_ONCE):
        yield [
            {
                names.MOVIE_ID: movie.movie_id,
                names.ROW: row,
                names.YEAR: movie.year,
                names.GENRES: list(movie.genres),
                names.EMBEDDING: embeddings[row] if row < len(embeddings) else zeros,
                names.SIMILARITY: similarity[row],
            }
            for row, movie in enumerate(movies[start : start + ROWS_AT_ONCE], start)
        ]


def tastes(embeddings: np.ndarray, indptr: np.ndarray, rows: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """float32[n, d], up to NUM_PROBES queries like those of users: the means of what some users like.

    indptr, rows, positive: as in `WatchedMovies`.
    """
    rng = np.random.default_rng(0)
    queries: list[np.ndarray] = []
    for user in rng.permutation(len(indptr) - 1)[: 10 * NUM_PROBES]:
        rated = slice(indptr[user], indptr[user + 1])
        liked = rows[rated][positive[rated]]
        if len(liked) and len(queries) < NUM_PROBES:
            mean = embeddings[liked].mean(axis=0)
            queries.append(mean / max(float(np.linalg.norm(mean)), np.finfo(np.float32).tiny))
    return np.array(queries, np.float32)
