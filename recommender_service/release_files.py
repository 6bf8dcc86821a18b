"""Reads the manifest and the movie table of a release, and compares its files with their checksums."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
from google.protobuf import json_format

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.layout import FORMATS, GENRE_SEPARATOR, MANIFEST, Format

METRICS: dict[str, Literal["angular", "euclidean"]] = {"": "angular", "angular": "angular", "euclidean": "euclidean"}
"""Annoy's metric by the manifest's word for it."""
ENGINES = ("", "annoy", "scan")


class ReleaseError(Exception):
    """A release cannot be served. The message names the file, what was expected and what it holds."""


def complete_versions(releases: Path) -> list[int]:
    """Versions of the releases that have a manifest, newest first. There are none if the folder does not exist."""
    if not releases.is_dir():
        return []
    names = (folder.name for folder in releases.iterdir() if (folder / MANIFEST).is_file())
    return sorted((int(name) for name in names if name.isascii() and name.isdecimal()), reverse=True)


def read_manifest(folder: Path) -> pb.Manifest:
    """Read the manifest and check its values, for `{}` is a manifest too. Raises ReleaseError."""
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
        manifest = json_format.Parse(text, pb.Manifest(), ignore_unknown_fields=True)
    except (OSError, UnicodeDecodeError, json_format.ParseError) as error:
        raise ReleaseError(f"{path}: cannot be read: {error}") from error
    if manifest.format_version not in FORMATS:
        known = " or ".join(map(str, FORMATS))
        raise ReleaseError(f"{path}: expected format_version {known}, got {manifest.format_version}")
    if str(manifest.version) != folder.name:
        raise ReleaseError(f"{path}: expected version {folder.name}, the folder's name, got {manifest.version}")
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
    if manifest.index.recall_k <= 0:
        raise ReleaseError(f"{path}: expected index.recall_k above 0, got {manifest.index.recall_k}")
    _check_calibrations(path, manifest.index)
    lengths = sorted({len(probe.embedding) for probe in manifest.probes})
    if lengths != [manifest.embedding_dim]:
        raise ReleaseError(f"{path}: expected probes with embeddings of length {manifest.embedding_dim}, got {lengths}")
    return manifest


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


def verify_files(folder: Path, manifest: pb.Manifest) -> None:
    """Check that every file exists with the size and sha256 that the manifest states. Raises ReleaseError."""
    missing = FORMATS[manifest.format_version].files - {file.name for file in manifest.files}
    if missing:
        raise ReleaseError(f"{folder / MANIFEST}: expected to list {', '.join(sorted(missing))}, got no such entry")
    for file in manifest.files:
        path = folder / file.name
        if Path(file.name).name != file.name or not path.is_file():
            raise ReleaseError(f"{path}: listed in the manifest, but there is no such file")
        if path.stat().st_size != file.size:
            raise ReleaseError(f"{path}: expected {file.size} bytes, got {path.stat().st_size}")
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest != file.sha256:
            raise ReleaseError(f"{path}: expected sha256 {file.sha256}, got {digest}")


def read_movies(path: Path, release_format: Format) -> tuple[list[api.Movie], np.ndarray]:
    """Return (movies in row order, int64[num_movies] number of users who liked each). Raises ReleaseError."""
    columns = release_format.movie_columns
    movies, num_likes = [], []
    try:
        with path.open(encoding="utf-8", newline="") as file:
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
