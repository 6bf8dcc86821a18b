"""Releases in older formats, which services must still read: made from ones of the current format."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from annoy import AnnoyIndex
from google.protobuf import json_format

from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb


def publish_old(artifacts: Path, publish: Callable[[Path], int], format_version: int) -> int:
    """Publish a release in an older format. Returns the version.

    publish: publishes one of the current format into the folder it is given, and returns the version.
    The release and its model appear whole, by a rename each, as the trainer publishes them.
    """
    scratch = artifacts / ".old-format"
    version = publish(scratch)
    rewrite_as(format_version, scratch / layout.RELEASES / str(version))
    for folder in (Path(layout.RELEASES), Path(layout.MODELS) / layout.MODEL_NAME):
        (artifacts / folder).mkdir(parents=True, exist_ok=True)
        (scratch / folder / str(version)).rename(artifacts / folder / str(version))
    shutil.rmtree(scratch)
    return version


def rewrite_as(format_version: int, release: Path) -> None:
    """Make a release what trainers of format 2, 3 or 4 wrote."""
    old = layout.FORMATS[format_version]
    manifest = json_format.Parse((release / layout.MANIFEST).read_text(encoding="utf-8"), pb.Manifest())
    for name in layout.CURRENT.files - old.files:
        (release / name).unlink()
    manifest.format_version = format_version
    if format_version <= 3:
        _with_whole_indexes(release, manifest)
    if format_version == 2:
        _without_keys(release, old)
        manifest.index.ClearField("metric")
        manifest.index.ClearField("newcomers")
        for calibration in (manifest.index.recommend, manifest.index.similar_movies):
            for field in ("engine", "scan_dims", "scan_candidates"):
                calibration.ClearField(field)
    del manifest.files[:]
    manifest.files.extend(_file(release / name) for name in sorted(old.files))
    (release / layout.MANIFEST).write_text(json_format.MessageToJson(manifest), encoding="utf-8")


def _with_whole_indexes(release: Path, manifest: pb.Manifest) -> None:
    for vectors, index in (
        (layout.EMBEDDINGS, layout.EMBEDDINGS_INDEX),
        (layout.SIMILAR_MOVIES, layout.SIMILAR_MOVIES_INDEX),
    ):
        trained = np.load(release / vectors)[: manifest.num_trained_movies]
        _write_index(trained, "angular" if manifest.format_version == 2 else "euclidean", release / index)
    for calibration in (manifest.index.recommend, manifest.index.newcomers, manifest.index.similar_movies):
        calibration.ClearField("index_dims")


def _without_keys(release: Path, old: layout.Format) -> None:
    with (release / layout.MOVIES).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (release / layout.MOVIES).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, old.movie_columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_index(vectors: np.ndarray, metric: Literal["angular", "euclidean"], path: Path) -> None:
    index = AnnoyIndex(vectors.shape[1], metric)
    for row, vector in enumerate(vectors):
        index.add_item(row, vector)
    index.build(10)
    path.unlink()
    index.save(str(path))


def _file(path: Path) -> pb.File:
    content = path.read_bytes()
    return pb.File(name=path.name, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
