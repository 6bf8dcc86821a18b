"""What is published: lists releases, removes old ones, takes the newest back. Never touches one that is in use.

A recommender holds a shared lock on the manifest of the release it serves, and a trainer an exclusive one on the folder
it is writing, so whatever can be locked here is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from protos.release.v1 import manifest_pb2 as pb

MODEL_NAME = "user_embedding"
STAGING = ".staging-"  # not a number: the model server and the recommender skip it
WITHDRAWN = ".withdrawn-"
REMOVING = ".removing-"
HANDOVER_S = 3.0  # recommenders look every second, and pin the model version until they have gone back


class NotWritable(Exception):
    """Releases cannot be written where they should be."""


@dataclass(frozen=True)
class Published:
    """A release whose files are complete.  manifest: None if it cannot be read."""

    version: int
    manifest: pb.Manifest | None
    has_model: bool
    num_bytes: int

    def metric(self, name: str) -> float | None:
        """An offline metric of the ranking through the index."""
        for evaluation in self.manifest.evaluations if self.manifest else ():
            if evaluation.ranking == "index" and name in evaluation.metrics:
                return evaluation.metrics[name]
        return None


def models_folder(artifacts: Path) -> Path:
    return artifacts / "models" / MODEL_NAME


def releases_folder(artifacts: Path) -> Path:
    return artifacts / "releases"


def published_releases(artifacts: Path) -> list[Published]:
    """Oldest first."""
    releases = []
    for version in _versions(releases_folder(artifacts)):
        folder, model = releases_folder(artifacts) / str(version), models_folder(artifacts) / str(version)
        if (folder / "manifest.json").is_file():
            num_bytes = sum(p.stat().st_size for f in (folder, model) for p in f.rglob("*") if p.is_file())
            releases.append(Published(version, _manifest(folder), model.is_dir(), num_bytes))
    return releases


def check_writable(artifacts: Path) -> None:
    """Raises NotWritable unless releases can be published there; leaves nothing behind."""
    for folder in (releases_folder(artifacts), models_folder(artifacts)):
        existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        try:
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            raise NotWritable(f"{artifacts}: releases cannot be written to {existing}: {error.strerror}") from error


def prune(artifacts: Path, keep: int) -> tuple[list[int], list[int]]:
    """(removed, kept because they are in use): all but the newest `keep` pairs, and what dead trainers left behind."""
    pairs = [release.version for release in published_releases(artifacts) if release.has_model]
    spared = set(pairs[-keep:])
    releases, models = releases_folder(artifacts), models_folder(artifacts)
    removed: list[int] = []
    in_use: list[int] = []
    for version in sorted({*_versions(releases), *_versions(models)} - spared):
        if _is_in_use(releases / str(version)):
            in_use.append(version)
            continue
        for parent in (releases, models):
            _remove_folder(parent / str(version))
        removed.append(version)
    for parent in (releases, models):
        for prefix in (STAGING, WITHDRAWN, REMOVING):
            for leftover in parent.glob(f"{prefix}*"):
                claim = releases / f"{STAGING}{leftover.name.removeprefix(prefix)}"
                if not _is_in_use(claim):
                    shutil.rmtree(leftover, ignore_errors=True)
    return removed, in_use


def roll_back(artifacts: Path) -> tuple[int, int]:
    """(withdrawn, now newest): sets the newest pair aside under names that nobody serves.

    First the release, then, once recommenders have gone back, its model.  Raises ValueError if there is no older pair.
    """
    pairs = [release.version for release in published_releases(artifacts) if release.has_model]
    if len(pairs) < 2:
        raise ValueError(f"expected an older release in {artifacts} to go back to, found {len(pairs)} in all")
    older, newest = pairs[-2:]
    releases, models = releases_folder(artifacts), models_folder(artifacts)
    (releases / str(newest)).rename(releases / f"{WITHDRAWN}{newest}")
    time.sleep(HANDOVER_S)
    (models / str(newest)).rename(models / f"{WITHDRAWN}{newest}")
    return newest, older


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Tries to lock a file or folder for this process alone; yields whether it could. A dead process holds no lock."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def version_of(folder: Path) -> int | None:
    """Of a published, staged or withdrawn folder; None for any other."""
    name = folder.name
    for prefix in (STAGING, WITHDRAWN, REMOVING):
        name = name.removeprefix(prefix)
    return int(name) if name.isascii() and name.isdecimal() else None


def _versions(parent: Path) -> list[int]:
    if not parent.is_dir():
        return []
    return sorted(int(f.name) for f in parent.iterdir() if f.name.isascii() and f.name.isdecimal())


def _manifest(folder: Path) -> pb.Manifest | None:
    try:
        return json_format.Parse((folder / "manifest.json").read_text(encoding="utf-8"), pb.Manifest())
    except (OSError, UnicodeDecodeError, json_format.ParseError):
        return None


def _is_in_use(release: Path) -> bool:
    """Whether a trainer is writing it or a recommender is serving it."""
    for path in (release, release / "manifest.json"):
        if path.exists():
            with locked(path) as nobodys:
                if not nobodys:
                    return True
    return False


def _remove_folder(folder: Path) -> None:
    """Out of sight in one step, then gone."""
    if folder.is_dir():
        hidden = folder.with_name(f"{REMOVING}{folder.name}")
        folder.rename(hidden)
        shutil.rmtree(hidden)
