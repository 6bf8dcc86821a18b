"""A release in memory: verified files, memory-mapped arrays, messages built once.

The layout is described in `protos/release/v1/manifest.proto`.
"""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from annoy import AnnoyIndex

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb
from recommender_service.release_files import ReleaseError, read_manifest, read_movies, verify_files
from recommender_service.title_index import TitleIndex

UNIT_NORM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Vectors:
    """vectors: float32[num_trained_movies, any], unit rows.  index: Annoy over the same rows.
    search_k: the effort at which lists of recall_k are as good as exact ones."""

    vectors: np.ndarray
    index: AnnoyIndex
    search_k: int
    recall_k: int


@dataclass(frozen=True)
class Release:
    """Rows are positions in `movies`; the first manifest.num_trained_movies of them have an embedding.

    movies: in row order.  movie_ids: int64[num_movies], theirs.  movie_rows: movie_id → row.
    embeddings: where users' neighbours are looked for.
    similar: where movies' neighbours are looked for.
    similar_vectors: float32[num_movies, similar_dim], unit rows, zeros where nothing is known of a movie.
    popular_rows: int64[num_trained_movies], most liked first, ties by movie_id.
    popularity: float32[num_movies], share of the users who liked each movie.
    years: int32[num_movies], 0 if unknown.  genres: name → bool[num_movies], in alphabetical order of the names.
    titles: finds movies by title.
    user_ids: int64[num_users], ascending.  watched_indptr, watched_rows: what user i rated, as CSR;
    watched_positive: bool, whether they liked it.
    lock: the manifest, locked for sharing while this object lives: the trainer prunes no release that is in use.
    """

    manifest: pb.Manifest
    movies: list[api.Movie]
    movie_ids: np.ndarray
    movie_rows: dict[int, int]
    embeddings: Vectors
    similar: Vectors
    similar_vectors: np.ndarray
    popular_rows: np.ndarray
    popularity: np.ndarray
    years: np.ndarray
    genres: dict[str, np.ndarray]
    titles: TitleIndex
    user_ids: np.ndarray
    watched_indptr: np.ndarray
    watched_rows: np.ndarray
    watched_positive: np.ndarray
    lock: IO[bytes]

    @property
    def version(self) -> int:
        return self.manifest.version

    @property
    def num_trained_movies(self) -> int:
        return len(self.embeddings.vectors)

    def watched(self, user_id: int) -> tuple[np.ndarray, np.ndarray]:
        """(int32 rows of the movies the user rated, those of them that the user liked); empty for an unknown user."""
        user = int(np.searchsorted(self.user_ids, user_id))
        if user == len(self.user_ids) or self.user_ids[user] != user_id:
            return np.empty(0, np.int32), np.empty(0, np.int32)
        rated = slice(self.watched_indptr[user], self.watched_indptr[user + 1])
        rows = self.watched_rows[rated]
        return rows, rows[self.watched_positive[rated]]

    def mean_embedding(self, rows: np.ndarray) -> np.ndarray:
        """float32[embedding_dim] of unit length, amid the embeddings of some trained movies; rows: int, at least one.

        The start of fold-in, without its gradient steps: recall@20 .244 where trained embeddings reach .278 (ML-1M).
        """
        mean = self.embeddings.vectors[rows].mean(axis=0)
        unit: np.ndarray = mean / max(float(np.linalg.norm(mean)), np.finfo(np.float32).tiny)
        return unit


def load_release(folder: Path) -> Release:
    """Reads and checks everything.  Raises ReleaseError naming the file, what was expected and what it holds."""
    manifest = read_manifest(folder)
    lock = (folder / layout.MANIFEST).open("rb")
    fcntl.flock(lock, fcntl.LOCK_SH)
    verify_files(folder, manifest)
    movies, likes = read_movies(folder / layout.MOVIES)
    _expect(folder / layout.MOVIES, "movies", len(movies), manifest.num_movies)
    movie_rows = {movie.movie_id: row for row, movie in enumerate(movies)}
    _expect(folder / layout.MOVIES, "different movie ids", len(movie_rows), manifest.num_movies)

    embeddings = _array(folder / layout.EMBEDDINGS, np.float32, (manifest.num_trained_movies, manifest.embedding_dim))
    _expect_unit_rows(folder / layout.EMBEDDINGS, embeddings)
    similar_vectors = _array(folder / layout.SIMILAR_MOVIES, np.float32, (manifest.num_movies, None))
    similar = similar_vectors[: manifest.num_trained_movies]
    _expect_unit_rows(folder / layout.SIMILAR_MOVIES, similar)
    if not np.isfinite(similar_vectors).all():
        raise ReleaseError(f"{folder / layout.SIMILAR_MOVIES}: expected finite values")

    user_ids = _array(folder / layout.USER_IDS, np.int64, (manifest.num_users,))
    if (np.diff(user_ids) <= 0).any():
        raise ReleaseError(f"{folder / layout.USER_IDS}: expected ascending ids without repetition")
    indptr = _array(folder / layout.WATCHED_INDPTR, np.int64, (manifest.num_users + 1,))
    rows = _array(folder / layout.WATCHED_ROWS, np.int32, (manifest.num_ratings,))
    positive = _array(folder / layout.WATCHED_POSITIVE, np.bool_, (manifest.num_ratings,))
    if indptr[0] != 0 or indptr[-1] != len(rows) or (np.diff(indptr) < 0).any():
        raise ReleaseError(f"{folder / layout.WATCHED_INDPTR}: expected to ascend from 0 to {len(rows)}")
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(movies)):
        raise ReleaseError(f"{folder / layout.WATCHED_ROWS}: expected rows below {len(movies)}, got {rows.max()}")
    if (rows[positive] >= manifest.num_trained_movies).any():
        raise ReleaseError(f"{folder / layout.WATCHED_POSITIVE}: expected every liked movie to have an embedding")

    movie_ids = np.array([movie.movie_id for movie in movies], np.int64)
    recommend, similar_movies = manifest.index.recommend.search_k, manifest.index.similar_movies.search_k
    recall_k = manifest.index.recall_k
    trained_ids = movie_ids[: manifest.num_trained_movies]
    return Release(
        manifest=manifest,
        movies=movies,
        movie_ids=movie_ids,
        movie_rows=movie_rows,
        embeddings=Vectors(
            embeddings, _index(folder / layout.EMBEDDINGS_INDEX, manifest, embeddings), recommend, recall_k
        ),
        similar=Vectors(
            similar, _index(folder / layout.SIMILAR_MOVIES_INDEX, manifest, similar), similar_movies, recall_k
        ),
        similar_vectors=similar_vectors,
        popular_rows=np.lexsort((trained_ids, -likes[: manifest.num_trained_movies])),
        popularity=(likes / manifest.num_users).astype(np.float32),
        years=np.array([movie.year for movie in movies], np.int32),
        genres=_genres(movies),
        titles=TitleIndex([movie.title for movie in movies], [movie.year for movie in movies], likes),
        user_ids=user_ids,
        watched_indptr=indptr,
        watched_rows=rows,
        watched_positive=positive,
        lock=lock,
    )


def _genres(movies: Sequence[api.Movie]) -> dict[str, np.ndarray]:
    names = sorted({genre for movie in movies for genre in movie.genres})
    genres = {name: np.zeros(len(movies), np.bool_) for name in names}
    for row, movie in enumerate(movies):
        for genre in movie.genres:
            genres[genre][row] = True
    return genres


def _array(path: Path, dtype: type[np.generic], shape: tuple[int | None, ...]) -> np.ndarray:
    """shape: None where any size is right."""
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy's header parser raises whatever a damaged header leads to
        raise ReleaseError(f"{path}: {error}") from error
    sizes = [got if size is None else size for size, got in zip(shape, array.shape, strict=False)]
    if array.dtype != dtype or list(array.shape) != sizes or len(shape) != array.ndim or not all(array.shape[1:]):
        expected = f"{np.dtype(dtype).name}{['any' if size is None else size for size in shape]}"
        raise ReleaseError(f"{path}: expected {expected}, got {array.dtype.name}{list(array.shape)}")
    return array.view(np.ndarray)  # still mapped; slices of numpy's memmap class cost several times as much


def _expect_unit_rows(path: Path, array: np.ndarray) -> None:
    norms = np.linalg.norm(array, axis=1)
    if not (np.abs(norms - 1) < UNIT_NORM_TOLERANCE).all():
        raise ReleaseError(f"{path}: expected rows of length 1, got {norms.min():g} to {norms.max():g}")


def _index(path: Path, manifest: pb.Manifest, vectors: np.ndarray) -> AnnoyIndex:
    index = AnnoyIndex(vectors.shape[1], "angular")
    try:
        index.load(str(path))
    except OSError as error:
        raise ReleaseError(f"{path}: {error}") from error
    _expect(path, "items", index.get_n_items(), manifest.num_trained_movies)
    return index


def _expect(path: Path, what: str, got: int, expected: int) -> None:
    if got != expected:
        raise ReleaseError(f"{path}: holds {got} {what}, the manifest says {expected}")
