"""The catalogue of published releases: lists them, removes old ones, withdraws the newest, and spares those in use.

A recommender holds a shared lock on the manifest of the release that it serves, and a trainer holds an exclusive lock
on the folder that it is writing. So a release that can be locked exclusively is not in use.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb
from trainer.release.errors import NoOlderRelease

REPORTS = "reports"  # the folder of HTML pages about releases, beside releases/

# Prefixes of a version's folder. The model server and the recommender skip names that are not numbers.
STAGING = ".staging-"
WITHDRAWN = ".withdrawn-"
REMOVING = ".removing-"

# Recommenders look for releases every second, and ask for the withdrawn model's version until they have gone back.
HANDOVER_S = 3.0


@dataclass(frozen=True)
class PublishedRelease:
    """A release whose files are complete.  manifest: None if it cannot be read."""

    version: int
    manifest: pb.Manifest | None
    has_model: bool
    num_bytes: int

    def metric(self, name: str) -> float | None:
        """Return an offline metric of the ranking through the index; None if the manifest does not have it."""
        for evaluation in self.manifest.evaluations if self.manifest else ():
            if evaluation.ranking == "index" and name in evaluation.metrics:
                return evaluation.metrics[name]
        return None


def models_folder(artifacts: Path) -> Path:
    return artifacts / layout.MODELS / layout.MODEL_NAME


def releases_folder(artifacts: Path) -> Path:
    return artifacts / layout.RELEASES


def published_releases(artifacts: Path) -> list[PublishedRelease]:
    """Return the complete releases, oldest first."""
    releases = []
    for version in _versions(releases_folder(artifacts)):
        folder, model = releases_folder(artifacts) / str(version), models_folder(artifacts) / str(version)
        if (folder / layout.MANIFEST).is_file():
            num_bytes = sum(p.stat().st_size for f in (folder, model) for p in f.rglob("*") if p.is_file())
            releases.append(PublishedRelease(version, _manifest(folder), model.is_dir(), num_bytes))
    return releases


def prune(artifacts: Path, keep: int) -> tuple[list[int], list[int]]:
    """Remove all but the newest `keep` releases that have a model, and everything that dead trainers left behind.

    Returns (the versions that were removed, the versions that stay because they are in use).
    """
    served = [release.version for release in published_releases(artifacts) if release.has_model]
    spared = set(served[-keep:])
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
    _remove_leftovers(releases, models)
    return removed, in_use


def roll_back(artifacts: Path) -> tuple[int, int]:
    """Withdraw the newest release that has a model, and return (its version, the version that is now the newest).

    The release is renamed first, to a name that is not served, and its model once recommenders have gone back.
    Raises NoOlderRelease if no other release has a model.
    """
    served = [release.version for release in published_releases(artifacts) if release.has_model]
    if len(served) < 2:
        raise NoOlderRelease(f"expected an older release in {artifacts} to go back to, found {len(served)} in all")
    older, newest = served[-2:]
    releases, models = releases_folder(artifacts), models_folder(artifacts)
    (releases / str(newest)).rename(releases / f"{WITHDRAWN}{newest}")
    time.sleep(HANDOVER_S)
    (models / str(newest)).rename(models / f"{WITHDRAWN}{newest}")
    return newest, older


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Try to lock a file or folder for this process alone, and yield whether that worked.

    The operating system releases the locks of a process that dies.
    """
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
    """Return the version in the name of a published, staged, withdrawn or half-removed folder; None for any other."""
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
        return json_format.Parse((folder / layout.MANIFEST).read_text(encoding="utf-8"), pb.Manifest())
    except (OSError, UnicodeDecodeError, json_format.ParseError):
        return None


def _is_in_use(release: Path) -> bool:
    """Return whether a trainer is writing this release or a recommender is serving it."""
    for path in (release, release / layout.MANIFEST):
        if path.exists():
            with locked(path) as is_free:
                if not is_free:
                    return True
    return False


def _remove_leftovers(releases: Path, models: Path) -> None:
    """Remove staged, withdrawn and half-removed folders whose trainer is dead."""
    for parent in (releases, models):
        for prefix in (STAGING, WITHDRAWN, REMOVING):
            for leftover in parent.glob(f"{prefix}*"):
                claim = releases / f"{STAGING}{leftover.name.removeprefix(prefix)}"
                if not _is_in_use(claim):
                    shutil.rmtree(leftover, ignore_errors=True)


def _remove_folder(folder: Path) -> None:
    """Remove a folder, if it is there: a rename hides it whole before its files are deleted."""
    if folder.is_dir():
        hidden = folder.with_name(f"{REMOVING}{folder.name}")
        folder.rename(hidden)
        shutil.rmtree(hidden)
