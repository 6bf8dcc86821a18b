"""Loads a release from verified copies of its files, and checks that these fit the manifest and each other."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.calibrations import SCAN
from protos.release.v1.search import Effort
from recommender_service.genres import encoded_list, genre_masks
from recommender_service.hidden_movies import NOTHING_HIDDEN, HiddenMovies, problem_of
from recommender_service.movie_bytes import MovieBytes
from recommender_service.release import Release, SimilarMovieLists, UserKeys, WatchedMovies
from recommender_service.release_files import ReleaseError, read_manifest
from recommender_service.release_vectors import (
    INDEX_FILES,
    VECTOR_FILES,
    Files,
    array_of,
    expect_count,
    movies_of,
    no_vectors,
    searched_vectors,
)
from recommender_service.title_index import TitleIndex
from recommender_service.verified_files import verified_files

LOCK_ATTEMPTS, LOCK_PAUSE_S = 20, 0.05


def load_release(folder: Path, verify_key_file: Path | None = None, with_vectors: bool = True) -> Release:
    """Read and check a whole release. Raises ReleaseError.

    verify_key_file: if there is one, the manifest must be signed with one of its keys.
    with_vectors: false if the movies' vectors are searched elsewhere; their files and indexes are then not read.
    """
    manifest = read_manifest(folder, verify_key_file)
    lock = _lock(folder)
    files = verified_files(folder, manifest, frozenset() if with_vectors else VECTOR_FILES | INDEX_FILES)
    movies, num_likes = movies_of(files, manifest)
    movie_ids = np.array([movie.movie_id for movie in movies], np.int64)
    num_trained, index = manifest.num_trained_movies, manifest.index
    vectors = searched_vectors(files, manifest) if with_vectors else no_vectors()
    genres = genre_masks(movies)
    return Release(
        manifest=manifest,
        movies=movies,
        movie_ids=movie_ids,
        movie_rows={movie.movie_id: row for row, movie in enumerate(movies)},
        rows_by_key=_rows_by_key(files, manifest, movies),
        user_keys=_user_keys(files, manifest),
        movie_bytes=MovieBytes(movies),
        movie_embeddings=vectors.movie_embeddings,
        effort=_effort(index.recommend),
        newcomer_effort=_newcomer_effort(index),
        similarity=vectors.similarity,
        similarity_effort=_effort(index.similar_movies),
        similarity_vectors=vectors.similarity_vectors,
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


def _rows_by_key(files: Files, manifest: pb.Manifest, movies: Sequence[api.Movie]) -> dict[str, int] | None:
    if not manifest.movies_have_keys:
        return None
    rows = {movie.key: row for row, movie in enumerate(movies) if movie.key}
    expect_count(files[layout.MOVIES], "different keys", len(rows), manifest.num_movies)
    return rows


def _user_keys(files: Files, manifest: pb.Manifest) -> UserKeys | None:
    if not manifest.users_have_keys:
        return None
    keys = array_of(files[layout.USER_KEYS], np.bytes_, (manifest.num_users,))
    ids = array_of(files[layout.USER_KEYS_IDS], np.int64, (manifest.num_users,))
    if (keys[1:] <= keys[:-1]).any():
        raise ReleaseError(f"{files[layout.USER_KEYS]}: expected ascending keys, each once; got others")
    by_id = np.argsort(ids)
    if not np.array_equal(ids[by_id], array_of(files[layout.USER_IDS], np.int64, (manifest.num_users,))):
        raise ReleaseError(f"{files[layout.USER_KEYS_IDS]}: expected the ids of {layout.USER_IDS}, got others")
    return UserKeys(keys, ids, by_id)


def _similar_lists(files: Files, manifest: pb.Manifest) -> SimilarMovieLists | None:
    if layout.SIMILAR_ROWS not in layout.FORMATS[manifest.format_version].files:
        return None
    rows = array_of(files[layout.SIMILAR_ROWS], np.int32, (manifest.num_movies, None))
    cosines = array_of(files[layout.SIMILAR_COSINES], np.float32, rows.shape)
    if rows.min() < -1 or rows.max() >= manifest.num_trained_movies:
        raise ReleaseError(
            f"{files[layout.SIMILAR_ROWS]}: expected rows of -1 to {manifest.num_trained_movies - 1}, "
            f"got {rows.min()} to {rows.max()}"
        )
    if not np.isfinite(cosines).all():
        raise ReleaseError(f"{files[layout.SIMILAR_COSINES]}: expected finite values, got NaN or infinity")
    return SimilarMovieLists(rows, cosines)


def _watched(files: Files, manifest: pb.Manifest) -> WatchedMovies:
    user_ids = array_of(files[layout.USER_IDS], np.int64, (manifest.num_users,))
    indptr = array_of(files[layout.WATCHED_INDPTR], np.int64, (manifest.num_users + 1,))
    rows = array_of(files[layout.WATCHED_ROWS], np.int32, (manifest.num_ratings,))
    positive = array_of(files[layout.WATCHED_POSITIVE], np.bool_, (manifest.num_ratings,))
    newer = None
    if layout.FORMATS[manifest.format_version].knows_order:
        newer = array_of(files[layout.WATCHED_NEWER], np.uint8, (manifest.num_ratings,))
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
    return WatchedMovies(user_ids, indptr, rows, positive, np.diff(liked_before[indptr]) > 0, newer)


def _hidden(files: Files, manifest: pb.Manifest) -> HiddenMovies:
    if layout.HIDDEN_USERS not in layout.FORMATS[manifest.format_version].files:
        return NOTHING_HIDDEN
    users = array_of(files[layout.HIDDEN_USERS], np.int64, (None,))
    hidden = HiddenMovies(users, array_of(files[layout.HIDDEN_ROWS], np.int32, (None,)))
    for name, problem in problem_of(hidden, manifest.num_movies).items():
        raise ReleaseError(f"{files[name]}: {problem}")
    return hidden


def _effort(calibration: pb.Calibration) -> Effort:
    return Effort(calibration.engine != SCAN, calibration.search_k, calibration.scan_candidates)


def _newcomer_effort(calibrations: pb.Index) -> Effort:
    return _effort(calibrations.newcomers if calibrations.HasField("newcomers") else calibrations.recommend)
