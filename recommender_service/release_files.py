"""Finds releases, and reads the manifest and the movie table of one."""

from __future__ import annotations

import csv
import errno
import math
import stat
from pathlib import Path
from typing import Literal

import numpy as np
from google.protobuf import json_format

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.calibrations import ANNOY, SCAN
from protos.release.v1.layout import (
    FORMATS,
    GENRE_SEPARATOR,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    SIGNATURE,
    Format,
    version_named,
)
from protos.release.v1.signature import is_signed, read_keys

METRICS: dict[str, Literal["angular", "euclidean"]] = {"": "angular", "angular": "angular", "euclidean": "euclidean"}
"""Annoy's metric by the manifest's word for it."""
ENGINES = ("", ANNOY, SCAN)


class ReleaseError(Exception):
    """A release cannot be served. The message names the file, what was expected and what it holds."""


def complete_versions(releases: Path) -> list[int]:
    """Versions of the releases that have a manifest, newest first. There are none if the folder does not exist.

    A release that this process may not look into counts too, so that it is refused by name.
    Raises OSError if the folder of releases cannot be listed.
    """
    try:
        folders = list(releases.iterdir())
    except FileNotFoundError:
        return []
    versions = [(version_named(folder.name), folder) for folder in folders]
    return sorted((version for version, folder in versions if version and _has_manifest(folder)), reverse=True)


def _has_manifest(folder: Path) -> bool:
    """Whether the folder has a manifest, or may have one for all that this process can see."""
    try:
        return stat.S_ISREG((folder / MANIFEST).stat().st_mode)
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def read_manifest(folder: Path, verify_key_file: Path | None = None) -> pb.Manifest:
    """Read the manifest and check its values, for `{}` is a manifest too. Raises ReleaseError.

    verify_key_file: if there is one, the manifest must be signed with one of its keys.
    """
    path = folder / MANIFEST
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MANIFEST_BYTES + 1)
        if len(content) > MAX_MANIFEST_BYTES:
            raise ReleaseError(f"{path}: expected at most {MAX_MANIFEST_BYTES} bytes, got more")
        if verify_key_file is not None:
            _expect_signature(folder, content, verify_key_file)
        manifest = json_format.Parse(content.decode("utf-8"), pb.Manifest(), ignore_unknown_fields=True)
    except (OSError, UnicodeDecodeError, json_format.ParseError) as error:
        raise ReleaseError(f"{path}: cannot be read: {error}") from error
    _check_values(path, manifest)
    return manifest


def _expect_signature(folder: Path, manifest: bytes, key_file: Path) -> None:
    path = folder / SIGNATURE
    try:
        keys = read_keys(key_file)
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{folder / MANIFEST}: no key to verify its signature with: {error}") from error
    try:
        with path.open("rb") as file:
            signature = file.read(200).decode("ascii", "replace").strip()
    except FileNotFoundError:
        raise ReleaseError(f"{path}: expected a signature of the manifest, got no such file") from None
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read: {error.strerror}") from error
    if not is_signed(manifest, signature, keys):
        raise ReleaseError(f"{path}: expected a signature with a key of {key_file}, got {signature[:40]!r}")


def _check_values(path: Path, manifest: pb.Manifest) -> None:
    if manifest.format_version not in FORMATS:
        known = " or ".join(map(str, FORMATS))
        raise ReleaseError(f"{path}: expected format_version {known}, got {manifest.format_version}")
    if str(manifest.version) != path.parent.name:
        raise ReleaseError(f"{path}: expected version {path.parent.name}, the folder's name, got {manifest.version}")
    if not manifest.model_name:
        raise ReleaseError(f"{path}: expected a model_name, got none")
    for name in ("embedding_dim", "num_users", "num_movies", "num_trained_movies", "num_ratings"):
        if getattr(manifest, name) <= 0:
            raise ReleaseError(f"{path}: expected {name} above 0, got {getattr(manifest, name)}")
    if manifest.num_trained_movies > manifest.num_movies:
        raise ReleaseError(
            f"{path}: expected num_trained_movies of at most {manifest.num_movies}, which is num_movies, "
            f"got {manifest.num_trained_movies}"
        )
    most = manifest.num_movies - manifest.num_trained_movies
    if not 0 <= manifest.num_content_movies <= most:
        raise ReleaseError(
            f"{path}: expected num_content_movies of 0 to {most}, the movies that nobody liked, "
            f"got {manifest.num_content_movies}"
        )
    if manifest.index.recall_k <= 0:
        raise ReleaseError(f"{path}: expected index.recall_k above 0, got {manifest.index.recall_k}")
    _check_calibrations(path, manifest.index)
    lengths = sorted({len(probe.embedding) for probe in manifest.probes})
    if lengths != [manifest.embedding_dim]:
        raise ReleaseError(f"{path}: expected probes with embeddings of length {manifest.embedding_dim}, got {lengths}")
    if not all(math.isfinite(value) for probe in manifest.probes for value in probe.embedding):
        raise ReleaseError(f"{path}: expected probes with finite embeddings, got NaN or infinity")


def _check_calibrations(path: Path, index: pb.Index) -> None:
    if index.metric not in METRICS:
        raise ReleaseError(f"{path}: expected index.metric euclidean or angular, got {index.metric[:40]!r}")
    names = ["recommend", "similar_movies", *(["newcomers"] if index.HasField("newcomers") else [])]
    for name in names:
        calibration = getattr(index, name)
        if calibration.engine not in ENGINES:
            raise ReleaseError(f"{path}: expected index.{name}.engine annoy or scan, got {calibration.engine[:40]!r}")
        if calibration.search_k <= 0:
            raise ReleaseError(f"{path}: expected index.{name}.search_k above 0, got {calibration.search_k}")
        if calibration.scan_dims < 0 or calibration.scan_candidates < 0:
            got = f"{calibration.scan_dims} and {calibration.scan_candidates}"
            raise ReleaseError(f"{path}: expected index.{name}.scan_dims and scan_candidates of 0 or more, got {got}")
        if calibration.index_dims not in (0, calibration.scan_dims):
            dims = calibration.scan_dims
            raise ReleaseError(f"{path}: expected index.{name}.index_dims 0 or {dims}, got {calibration.index_dims}")


def read_movies(path: Path, release_format: Format, copy: Path | None = None) -> tuple[list[api.Movie], np.ndarray]:
    """Return (movies in row order, int64[num_movies] number of users who liked each). Raises ReleaseError.

    copy: is read in place of the file, if there is one; messages name the file.
    """
    columns = release_format.movie_columns
    movies, num_likes = [], []
    try:
        with (copy or path).open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if tuple(header) != columns:
                raise ReleaseError(f"{path}:1: expected {','.join(columns)}, got {','.join(header)[:40]}")
            for fields in reader:
                try:
                    values = dict(zip(columns, fields, strict=True))
                    movies.append(_movie(values))
                    num_likes.append(_count("popularity", values["popularity"]))
                except ValueError as error:
                    raise ReleaseError(f"{path}:{reader.line_num}: {error}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReleaseError(f"{path}: cannot be read: {error}") from error
    return movies, np.array(num_likes, np.int64)


def _movie(values: dict[str, str]) -> api.Movie:
    return api.Movie(
        movie_id=int(values["movie_id"]),
        title=values["title"],
        genres=values["genres"].split(GENRE_SEPARATOR) if values["genres"] else [],
        year=int(values["year"]),
        key=values.get("key", ""),
    )


def _count(column: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):  # any 18 digits fit into int64
        raise ValueError(f"expected {column} to be a whole number, 0 or more, got {text[:40]!r}")
    return int(text)
