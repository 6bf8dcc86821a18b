"""Loads a release from verified copies of its files, and checks that these fit the manifest and each other."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from annoy import AnnoyIndex

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.calibrations import SCAN
from protos.release.v1.search import Effort, IndexedVectors, leading_components
from recommender_service.annoy_file import check_annoy_file
from recommender_service.genres import encoded_list, genre_masks
from recommender_service.hidden_movies import NOTHING_HIDDEN, HiddenMovies, problem_of
from recommender_service.movie_bytes import MovieBytes
from recommender_service.release import Release, SimilarMovieLists, UserKeys, WatchedMovies
from recommender_service.release_files import METRICS, ReleaseError, read_manifest, read_movies
from recommender_service.title_index import TitleIndex
from recommender_service.verified_files import VerifiedFile, verified_files

Files = Mapping[str, VerifiedFile]

UNIT_NORM_TOLERANCE = 1e-3
LOCK_ATTEMPTS, LOCK_PAUSE_S = 20, 0.05


def load_release(folder: Path, verify_key_file: Path | None = None) -> Release:
    """Read and check a whole release. Raises ReleaseError.

    verify_key_file: if there is one, the manifest must be signed with one of its keys.
    """
    manifest = read_manifest(folder, verify_key_file)
    lock = _lock(folder)
    files = verified_files(folder, manifest)
    movies, num_likes = _movies(files, manifest)
    movie_ids = np.array([movie.movie_id for movie in movies], np.int64)
    num_trained, index = manifest.num_trained_movies, manifest.index
    num_embedded = num_trained + manifest.num_content_movies
    movie_embeddings = _array(files[layout.EMBEDDINGS], np.float32, (num_embedded, manifest.embedding_dim))
    _expect_unit_rows(files[layout.EMBEDDINGS], movie_embeddings)
    vectors = _similarity_vectors(files, manifest)
    genres = genre_masks(movies)
    return Release(
        manifest=manifest,
        movies=movies,
        movie_ids=movie_ids,
        movie_rows={movie.movie_id: row for row, movie in enumerate(movies)},
        rows_by_key=_rows_by_key(files, manifest, movies),
        user_keys=_user_keys(files, manifest),
        movie_bytes=MovieBytes(movies),
        movie_embeddings=_indexed(movie_embeddings, files[layout.EMBEDDINGS_INDEX], manifest, index.recommend),
        effort=_effort(index.recommend),
        newcomer_effort=_newcomer_effort(index),
        similarity=_indexed(vectors[:num_trained], files[layout.SIMILAR_MOVIES_INDEX], manifest, index.similar_movies),
        similarity_effort=_effort(index.similar_movies),
        similarity_vectors=vectors,
        similar_lists=_similar_lists(files, manifest),
        popular_rows=np.lexsort((movie_ids[:num_trained], -num_likes[:num_trained])),
        liked_share=(num_likes / manifest.num_users).astype(np.float32),
        years=np.array([movie.year for movie in movies], np.int32),
        genres=genres,
        genres_by_casefold={name.casefold(): mask for name, mask in genres.items()},
        genre_list=encoded_list(genres, manifest.version),
        titles=TitleIndex([movie.title for movie in movies], [movie.year for movie in movies], num_likes),
        watched=_watched(files, manifest),
        hidden=_hidden(files, manifest),
        version=manifest.version,
        files=tuple(files.values()),
        lock=lock,
    )


def _lock(folder: Path) -> IO[bytes] | None:
    """Return the open manifest, locked for sharing until it is closed; None if this file system has no locks."""
    path = folder / layout.MANIFEST
    try:
        manifest = path.open("rb")
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read: {error.strerror}") from error
    for _ in range(LOCK_ATTEMPTS):
        try:
            fcntl.flock(manifest, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # prune holds it for a moment while it looks whether the release is in use
            time.sleep(LOCK_PAUSE_S)
        except OSError:
            break
        else:
            return manifest
    return None


def _movies(files: Files, manifest: pb.Manifest) -> tuple[list[api.Movie], np.ndarray]:
    """Return (movies in row order, int64[num_movies] number of users who liked each)."""
    file = files[layout.MOVIES]
    movies, num_likes = read_movies(file.original, layout.FORMATS[manifest.format_version], file.path)
    _expect_count(file, "movies", len(movies), manifest.num_movies)
    _expect_count(file, "different movie ids", len({movie.movie_id for movie in movies}), manifest.num_movies)
    for movie in movies[manifest.num_trained_movies :][: manifest.num_content_movies]:
        movie.from_content = True
    return movies, num_likes


def _rows_by_key(files: Files, manifest: pb.Manifest, movies: Sequence[api.Movie]) -> dict[str, int] | None:
    if not manifest.movies_have_keys:
        return None
    rows = {movie.key: row for row, movie in enumerate(movies) if movie.key}
    _expect_count(files[layout.MOVIES], "different keys", len(rows), manifest.num_movies)
    return rows


def _user_keys(files: Files, manifest: pb.Manifest) -> UserKeys | None:
    if not manifest.users_have_keys:
        return None
    keys = _array(files[layout.USER_KEYS], np.bytes_, (manifest.num_users,))
    ids = _array(files[layout.USER_KEYS_IDS], np.int64, (manifest.num_users,))
    if (keys[1:] <= keys[:-1]).any():
        raise ReleaseError(f"{files[layout.USER_KEYS]}: expected ascending keys, each once; got others")
    by_id = np.argsort(ids)
    if not np.array_equal(ids[by_id], _array(files[layout.USER_IDS], np.int64, (manifest.num_users,))):
        raise ReleaseError(f"{files[layout.USER_KEYS_IDS]}: expected the ids of {layout.USER_IDS}, got others")
    return UserKeys(keys, ids, by_id)


def _similar_lists(files: Files, manifest: pb.Manifest) -> SimilarMovieLists | None:
    if layout.SIMILAR_ROWS not in layout.FORMATS[manifest.format_version].files:
        return None
    rows = _array(files[layout.SIMILAR_ROWS], np.int32, (manifest.num_movies, None))
    cosines = _array(files[layout.SIMILAR_COSINES], np.float32, rows.shape)
    if rows.min() < -1 or rows.max() >= manifest.num_trained_movies:
        raise ReleaseError(
            f"{files[layout.SIMILAR_ROWS]}: expected rows of -1 to {manifest.num_trained_movies - 1}, "
            f"got {rows.min()} to {rows.max()}"
        )
    if not np.isfinite(cosines).all():
        raise ReleaseError(f"{files[layout.SIMILAR_COSINES]}: expected finite values, got NaN or infinity")
    return SimilarMovieLists(rows, cosines)


def _similarity_vectors(files: Files, manifest: pb.Manifest) -> np.ndarray:
    """float32[num_movies, any]; the rows of trained movies have unit length."""
    file = files[layout.SIMILAR_MOVIES]
    vectors = _array(file, np.float32, (manifest.num_movies, None))
    _expect_unit_rows(file, vectors[: manifest.num_trained_movies])
    if not np.isfinite(vectors).all():
        raise ReleaseError(f"{file}: expected finite values, got NaN or infinity")
    return vectors


def _watched(files: Files, manifest: pb.Manifest) -> WatchedMovies:
    user_ids = _array(files[layout.USER_IDS], np.int64, (manifest.num_users,))
    indptr = _array(files[layout.WATCHED_INDPTR], np.int64, (manifest.num_users + 1,))
    rows = _array(files[layout.WATCHED_ROWS], np.int32, (manifest.num_ratings,))
    positive = _array(files[layout.WATCHED_POSITIVE], np.bool_, (manifest.num_ratings,))
    if (np.diff(user_ids) <= 0).any():
        raise ReleaseError(f"{files[layout.USER_IDS]}: expected ascending ids, each once; got others")
    num_rated = np.diff(indptr)
    if indptr[0] != 0 or indptr[-1] != len(rows) or (num_rated < 0).any():
        raise ReleaseError(
            f"{files[layout.WATCHED_INDPTR]}: expected to ascend from 0 to {len(rows)}, "
            f"got first {indptr[0]}, last {indptr[-1]}, smallest step {num_rated.min()}"
        )
    if len(rows) and not (rows.min() >= 0 and rows.max() < manifest.num_movies):
        raise ReleaseError(
            f"{files[layout.WATCHED_ROWS]}: expected rows of 0 to {manifest.num_movies - 1}, "
            f"got {rows.min()} to {rows.max()}"
        )
    if (rows[positive] >= manifest.num_trained_movies).any():
        raise ReleaseError(
            f"{files[layout.WATCHED_POSITIVE]}: expected likes of the {manifest.num_trained_movies} movies with an "
            f"embedding only, got one of row {rows[positive].max()}"
        )
    liked_before = np.concatenate([[0], np.cumsum(positive)])  # int64[num_ratings + 1]
    return WatchedMovies(user_ids, indptr, rows, positive, has_likes=np.diff(liked_before[indptr]) > 0)


def _hidden(files: Files, manifest: pb.Manifest) -> HiddenMovies:
    if layout.HIDDEN_USERS not in layout.FORMATS[manifest.format_version].files:
        return NOTHING_HIDDEN
    users = _array(files[layout.HIDDEN_USERS], np.int64, (None,))
    hidden = HiddenMovies(users, _array(files[layout.HIDDEN_ROWS], np.int32, (None,)))
    for name, problem in problem_of(hidden, manifest.num_movies).items():
        raise ReleaseError(f"{files[name]}: {problem}")
    return hidden


def _effort(calibration: pb.Calibration) -> Effort:
    return Effort(calibration.engine != SCAN, calibration.search_k, calibration.scan_candidates)


def _newcomer_effort(calibrations: pb.Index) -> Effort:
    return _effort(calibrations.newcomers if calibrations.HasField("newcomers") else calibrations.recommend)


def _indexed(
    vectors: np.ndarray, file: VerifiedFile, manifest: pb.Manifest, calibration: pb.Calibration
) -> IndexedVectors:
    metric = METRICS[manifest.index.metric]
    check_annoy_file(file, metric, vectors)
    index = AnnoyIndex(vectors.shape[1], metric)
    index.load(str(file.path))
    leading = leading_components(vectors, calibration.scan_dims)
    return IndexedVectors(vectors, index, leading, manifest.index.recall_k)


def _array(file: VerifiedFile, dtype: type[np.generic], shape: tuple[int | None, ...]) -> np.ndarray:
    """Map a .npy file into memory.  shape: None stands for any size but 0."""
    try:
        array: np.ndarray = np.load(file.path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy's header parser raises whatever a damaged header leads to
        raise ReleaseError(f"{file}: cannot be read: {error}") from error
    sizes = [got if size is None else size for size, got in zip(shape, array.shape, strict=False)]
    if (
        not np.issubdtype(array.dtype, dtype)
        or list(array.shape) != sizes
        or len(shape) != array.ndim
        or not all(array.shape[1:])
    ):
        expected = f"{np.dtype(dtype).name}{['any' if size is None else size for size in shape]}"
        raise ReleaseError(f"{file}: expected {expected}, got {array.dtype.name}{list(array.shape)}")
    return array.view(np.ndarray)  # this is mapped too, and its slices cost less than those of numpy's memmap class


def _expect_unit_rows(file: VerifiedFile, array: np.ndarray) -> None:
    with np.errstate(over="ignore", invalid="ignore"):  # numpy would warn on standard error
        norms = np.linalg.norm(array, axis=1)
    if not (np.abs(norms - 1) < UNIT_NORM_TOLERANCE).all():
        raise ReleaseError(f"{file}: expected rows of length 1, got {norms.min():g} to {norms.max():g}")


def _expect_count(file: VerifiedFile, what: str, got: int, expected: int) -> None:
    if got != expected:
        raise ReleaseError(f"{file}: expected {expected} {what}, as the manifest says, got {got}")
