"""Reads the arrays and the movie table of a release from verified copies, above all the movies' vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from annoy import AnnoyIndex

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.vectors import IndexedVectors, indexed_vectors, leading_components
from recommender_service.annoy_file import check_annoy_file
from recommender_service.release_files import METRICS, ReleaseError, read_movies
from recommender_service.verified_files import VerifiedFile

Files = Mapping[str, VerifiedFile]

VECTOR_FILES = frozenset({layout.EMBEDDINGS, layout.SIMILAR_MOVIES})
INDEX_FILES = frozenset({layout.EMBEDDINGS_INDEX, layout.SIMILAR_MOVIES_INDEX})
UNIT_NORM_TOLERANCE = 1e-3


class SearchedVectors(NamedTuple):
    """What a process searches that holds the movies' vectors; see `Release`."""

    movie_embeddings: IndexedVectors
    similarity: IndexedVectors
    similarity_vectors: np.ndarray


def searched_vectors(files: Files, manifest: pb.Manifest) -> SearchedVectors:
    """The vectors of a release and their indexes. Raises ReleaseError."""
    embeddings, vectors = embedding_vectors(files, manifest), similarity_vectors(files, manifest)
    index, trained = manifest.index, vectors[: manifest.num_trained_movies]
    return SearchedVectors(
        _indexed(embeddings, files[layout.EMBEDDINGS_INDEX], manifest, index.recommend),
        _indexed(trained, files[layout.SIMILAR_MOVIES_INDEX], manifest, index.similar_movies),
        vectors,
    )


def no_vectors() -> SearchedVectors:
    """What a process holds if the movies' vectors are searched elsewhere: nothing."""
    nothing = np.empty((0, 1), np.float32)
    empty = IndexedVectors(nothing, nothing, None, 1)
    return SearchedVectors(empty, empty, nothing)


def embedding_vectors(files: Files, manifest: pb.Manifest) -> np.ndarray:
    """float32[num_trained_movies + num_content_movies, embedding_dim], rows of unit length. Raises ReleaseError."""
    file, num_embedded = files[layout.EMBEDDINGS], manifest.num_trained_movies + manifest.num_content_movies
    vectors = array_of(file, np.float32, (num_embedded, manifest.embedding_dim))
    _expect_unit_rows(file, vectors)
    return vectors


def similarity_vectors(files: Files, manifest: pb.Manifest) -> np.ndarray:
    """float32[num_movies, any]; the rows of trained movies have unit length. Raises ReleaseError."""
    file = files[layout.SIMILAR_MOVIES]
    vectors = array_of(file, np.float32, (manifest.num_movies, None))
    _expect_unit_rows(file, vectors[: manifest.num_trained_movies])
    if not np.isfinite(vectors).all():
        raise ReleaseError(f"{file}: expected finite values, got NaN or infinity")
    return vectors


def movies_of(files: Files, manifest: pb.Manifest) -> tuple[list[api.Movie], np.ndarray]:
    """Return (movies in row order, int64[num_movies] number of users who liked each). Raises ReleaseError."""
    file = files[layout.MOVIES]
    movies, num_likes = read_movies(file.original, layout.FORMATS[manifest.format_version], file.path)
    expect_count(file, "movies", len(movies), manifest.num_movies)
    expect_count(file, "different movie ids", len({movie.movie_id for movie in movies}), manifest.num_movies)
    for movie in movies[manifest.num_trained_movies :][: manifest.num_content_movies]:
        movie.from_content = True
    return movies, num_likes


def array_of(file: VerifiedFile, dtype: type[np.generic], shape: tuple[int | None, ...]) -> np.ndarray:
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


def expect_count(file: VerifiedFile, what: str, got: int, expected: int) -> None:
    if got != expected:
        raise ReleaseError(f"{file}: expected {expected} {what}, as the manifest says, got {got}")


def _indexed(
    vectors: np.ndarray, file: VerifiedFile, manifest: pb.Manifest, calibration: pb.Calibration
) -> IndexedVectors:
    metric = METRICS[manifest.index.metric]
    leading = leading_components(vectors, calibration.scan_dims)
    items = indexed_vectors(vectors, leading) if calibration.index_dims else vectors
    check_annoy_file(file, metric, items, num_exact=calibration.index_dims or items.shape[1])
    index = AnnoyIndex(items.shape[1], metric)
    index.load(str(file.path))
    return IndexedVectors(vectors, leading, index, manifest.index.recall_k)


def _expect_unit_rows(file: VerifiedFile, array: np.ndarray) -> None:
    with np.errstate(over="ignore", invalid="ignore"):  # numpy would warn on standard error
        norms = np.linalg.norm(array, axis=1)
    if not (np.abs(norms - 1) < UNIT_NORM_TOLERANCE).all():
        raise ReleaseError(f"{file}: expected rows of length 1, got {norms.min():g} to {norms.max():g}")
