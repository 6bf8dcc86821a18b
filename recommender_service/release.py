"""A release in memory. Rows are positions in its list of movies. The files are described in manifest.proto."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

import numpy as np
from annoy import AnnoyIndex

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import manifest_pb2 as pb
from recommender_service.title_index import TitleIndex


@dataclass(frozen=True)
class IndexedVectors:
    """A vector for each trained movie, and an index that finds the nearest ones.

    vectors: float32[num_trained_movies, any], rows of unit length.
    index: Annoy over the same rows.
    search_k: the search effort that was calibrated for lists of `recall_k` movies.
    """

    vectors: np.ndarray
    index: AnnoyIndex
    search_k: int
    recall_k: int


@dataclass(frozen=True)
class WatchedMovies:
    """The movies that each user rated, as compressed sparse rows (CSR).

    user_ids: int64[num_users], ascending.
    indptr: int64[num_users + 1]; the ratings of user i are indptr[i] up to, not including, indptr[i + 1].
    rows: int32[num_ratings], the rated movie.  positive: bool[num_ratings], whether the user liked it.
    """

    user_ids: np.ndarray
    indptr: np.ndarray
    rows: np.ndarray
    positive: np.ndarray

    def of(self, user_id: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (int32 rows of the movies the user rated, those of them that the user liked).

        Both are empty for a user whom the release does not know.
        """
        user = int(np.searchsorted(self.user_ids, user_id))
        if user == len(self.user_ids) or self.user_ids[user] != user_id:
            return np.empty(0, np.int32), np.empty(0, np.int32)
        rated = slice(self.indptr[user], self.indptr[user + 1])
        rows = self.rows[rated]
        return rows, rows[self.positive[rated]]


@dataclass(frozen=True)
class Release:
    """What calls are answered from. The first `num_trained_movies` rows have an embedding.

    movies: in row order.  movie_ids: int64[num_movies], in row order.  movie_rows: row by movie id.
    movie_embeddings: in the space of the user embeddings; a user's recommendations are the nearest of them.
    similarity: embedding, genres and year of each movie in one vector; similar movies are the nearest of them.
    similarity_vectors: float32[num_movies, any], the same for all movies; unit rows, zeros if nothing is known.
    popular_rows: int64[num_trained_movies], most liked first, equally liked ones by movie id.
    liked_share: float32[num_movies], the share of the release's users who liked each movie.
    years: int32[num_movies], 0 if unknown.
    genres: bool[num_movies] by name of the genre, names in alphabetical order.
    lock: the open manifest, locked for sharing while this object lives, so that the trainer does not delete a release
        that is in use.
    """

    manifest: pb.Manifest
    movies: list[api.Movie]
    movie_ids: np.ndarray
    movie_rows: dict[int, int]
    movie_embeddings: IndexedVectors
    similarity: IndexedVectors
    similarity_vectors: np.ndarray
    popular_rows: np.ndarray
    liked_share: np.ndarray
    years: np.ndarray
    genres: dict[str, np.ndarray]
    titles: TitleIndex
    watched: WatchedMovies
    lock: IO[bytes]

    @property
    def version(self) -> int:
        return self.manifest.version

    @property
    def num_trained_movies(self) -> int:
        return len(self.movie_embeddings.vectors)

    def mean_embedding(self, rows: np.ndarray) -> np.ndarray:
        """The normalised mean of these movies' embeddings, float32[embedding_dim].

        rows: int, at least one, of trained movies.
        It is where the fold-in of liked movies starts, so it stands in for one, less well, without the model server.
        """
        mean = self.movie_embeddings.vectors[rows].mean(axis=0)
        unit: np.ndarray = mean / max(float(np.linalg.norm(mean)), np.finfo(np.float32).tiny)
        return unit
