"""A release in memory. Rows are positions in its list of movies; manifest.proto of release.v1 describes its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.search import Effort
from protos.release.v1.vectors import IndexedVectors
from recommender_service.hidden_movies import HiddenMovies
from recommender_service.movie_bytes import MovieBytes
from recommender_service.title_index import TitleIndex
from recommender_service.verified_files import VerifiedFile


@dataclass(frozen=True)
class SimilarMovieLists:
    """The nearest trained movies of every movie, made by the trainer.

    rows: int32[num_movies, any], nearest first, −1 after the last.  cosines: float32 of the same shape.
    """

    rows: np.ndarray
    cosines: np.ndarray


@dataclass(frozen=True)
class WatchedMovies:
    """The movies that each user rated, as compressed sparse rows (CSR).

    user_ids: int64[num_users], ascending.
    indptr: int64[num_users + 1]; the ratings of user i are indptr[i] up to, not including, indptr[i + 1].
    rows: int32[num_ratings], the rated movie.  positive: bool[num_ratings], whether the user liked it.
    has_likes: bool[num_users], whether the user liked some movie.
    newer: uint8[num_ratings], how many of the user's ratings are newer, and half of those of the same time, at most
        255; None if the release does not tell.
    """

    user_ids: np.ndarray
    indptr: np.ndarray
    rows: np.ndarray
    positive: np.ndarray
    has_likes: np.ndarray
    newer: np.ndarray | None

    def find(self, user_id: int) -> int:
        """The position of a user in `user_ids`, or −1 for a user whom the release does not know."""
        user = int(self.user_ids.searchsorted(user_id))
        return user if user < len(self.user_ids) and self.user_ids[user] == user_id else -1

    def rows_of(self, user: int) -> np.ndarray:
        """int32 rows of the movies that the user at this position rated."""
        rows: np.ndarray = self.rows[self.indptr[user] : self.indptr[user + 1]]
        return rows

    def liked_rows_of(self, user: int) -> np.ndarray:
        """int32 rows of the movies that the user at this position liked, ascending."""
        rated = slice(self.indptr[user], self.indptr[user + 1])
        rows: np.ndarray = self.rows[rated][self.positive[rated]]
        return rows

    def liked_rows_in_order(self, user: int) -> np.ndarray | None:
        """The same in the order of liking, the latest last; None if the release does not tell, or all have one time."""
        if self.newer is None:
            return None
        rated = slice(self.indptr[user], self.indptr[user + 1])
        newer = self.newer[rated][self.positive[rated]]
        if len(newer) > 1 and newer.min() == newer.max():
            return None
        rows: np.ndarray = self.liked_rows_of(user)[np.argsort(newer, kind="stable")[::-1]]
        return rows


@dataclass(frozen=True)
class UserKeys:
    """The ids of users that are known by text keys.

    keys: bytes[num_users] in UTF-8, ascending.  ids: int64[num_users].
    by_id: int64[num_users], positions in both, in the order of the ids.
    """

    keys: np.ndarray
    ids: np.ndarray
    by_id: np.ndarray

    def id_of(self, key: str) -> int | None:
        """The id of the key, or None if the release does not know it."""
        wanted = key.encode("utf-8")
        at = int(self.keys.searchsorted(wanted))
        return int(self.ids[at]) if at < len(self.keys) and self.keys[at] == wanted else None

    def key_of(self, user_id: int) -> str | None:
        """The key of the id, or None if the release does not know it."""
        at = int(self.ids.searchsorted(user_id, sorter=self.by_id))
        found = int(self.by_id[at]) if at < len(self.ids) else -1
        return self.keys[found].decode("utf-8") if found >= 0 and self.ids[found] == user_id else None


@dataclass(frozen=True)
class Release:
    """What calls are answered from. The first `num_trained_movies` rows have a trained embedding.

    movies: in row order.  movie_ids: int64[num_movies], in row order.  movie_rows: row by movie id.
    rows_by_key: row by movie key; None if movies are known by number.  user_keys: None if users are known by number.
    movie_bytes: the movies as parts of answers.
    movie_embeddings: in the space of the user embeddings; a user's recommendations are the nearest of them. Those of
        trained movies come first, then those that were computed from the content of movies that nobody liked.
        They, `similarity` and `similarity_vectors` are empty if Milvus is searched.
    effort: of queries with trained user embeddings.  newcomer_effort: of queries with folded-in ones.
    similarity: embedding, genres and year of each trained movie in one vector; similar movies are the nearest of them.
    similarity_effort: of queries with these vectors.
    similarity_vectors: float32[num_movies, any], the same for all movies; unit rows, zeros if nothing is known.
    similar_lists: the movies most similar to each, found beforehand; None in a release of format 2.
    popular_rows: int64[num_trained_movies], most liked first, equally liked ones by movie id.
    liked_share: float32[num_movies], the share of the release's users who liked each movie.
    years: int32[num_movies], 0 if unknown.
    genres: bool[num_movies] by name of the genre, names in alphabetical order.
    genres_by_casefold: the same masks by the name in case-folded form.
    genre_list: the answer to ListGenres, encoded.
    files: the copies that the arrays are mapped from, kept open so that other workers find them.
    lock: the open manifest, locked for sharing while this object lives, so that the trainer does not delete a release
        that is in use; None if the file system has no locks.
    """

    manifest: pb.Manifest
    movies: list[api.Movie]
    movie_ids: np.ndarray
    movie_rows: dict[int, int]
    rows_by_key: dict[str, int] | None
    user_keys: UserKeys | None
    movie_bytes: MovieBytes
    movie_embeddings: IndexedVectors
    effort: Effort
    newcomer_effort: Effort
    similarity: IndexedVectors
    similarity_effort: Effort
    similarity_vectors: np.ndarray
    similar_lists: SimilarMovieLists | None
    popular_rows: np.ndarray
    liked_share: np.ndarray
    years: np.ndarray
    genres: dict[str, np.ndarray]
    genres_by_casefold: dict[str, np.ndarray]
    genre_list: bytes
    titles: TitleIndex
    watched: WatchedMovies
    hidden: HiddenMovies
    version: int
    files: tuple[VerifiedFile, ...]
    lock: IO[bytes] | None

    @property
    def num_trained_movies(self) -> int:
        return self.manifest.num_trained_movies


def mean_direction(vectors: np.ndarray) -> np.ndarray:
    """The normalised mean of movies' vectors, float32[d].  vectors: float32[n, d], at least one.

    It is where the fold-in of liked movies starts, so it stands in for one, less well, without the model server.
    """
    mean = vectors.mean(axis=0)
    unit: np.ndarray = mean / max(float(np.linalg.norm(mean)), np.finfo(np.float32).tiny)
    return unit
