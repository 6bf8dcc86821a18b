"""The catalogue of published releases: lists them, and withdraws the newest."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb
from trainer.release.errors import NoOlderRelease, NotWritable

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

    def standard_error(self, name: str) -> float:
        """Return the standard error of that metric; 0 if the manifest does not have it."""
        for evaluation in self.manifest.evaluations if self.manifest else ():
            if evaluation.ranking == "index":
                return evaluation.standard_errors.get(name, 0.0)
        return 0.0


def models_folder(artifacts: Path) -> Path:
    return artifacts / layout.MODELS / layout.MODEL_NAME


def releases_folder(artifacts: Path) -> Path:
    return artifacts / layout.RELEASES


def published_releases(artifacts: Path) -> list[PublishedRelease]:
    """Return the complete releases, oldest first."""
    releases = []
    for version in versions_in(releases_folder(artifacts)):
        folder, model = releases_folder(artifacts) / str(version), models_folder(artifacts) / str(version)
        if has_manifest(folder):
            num_bytes = _num_bytes(folder) + _num_bytes(model)
            releases.append(PublishedRelease(version, _manifest(folder), _is_folder(model), num_bytes))
    return releases


def served_versions(artifacts: Path) -> list[int]:
    """Return the versions of the complete releases that have a model, oldest first: nobody serves the others."""
    return [release.version for release in published_releases(artifacts) if release.has_model]


def check_writable(artifacts: Path) -> None:
    """Check that releases can be published there, and leave nothing behind. Raises NotWritable."""
    for folder in (releases_folder(artifacts), models_folder(artifacts)):
        existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        try:
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            raise NotWritable(f"{artifacts}: releases cannot be written to {existing}: {error.strerror}") from error


def roll_back(artifacts: Path) -> tuple[int, int]:
    """Withdraw the newest release that has a model, and return (its version, the version that is now the newest).

    The release is renamed first, to a name that is not served, and its model once recommenders have gone back.
    Raises NoOlderRelease if no other release has a model.
    """
    served = served_versions(artifacts)
    if len(served) < 2:
        raise NoOlderRelease(f"expected an older release in {artifacts} to go back to, found {len(served)} in all")
    older, newest = served[-2:]
    releases, models = releases_folder(artifacts), models_folder(artifacts)
    (releases / str(newest)).rename(releases / f"{WITHDRAWN}{newest}")
    time.sleep(HANDOVER_S)
    (models / str(newest)).rename(models / f"{WITHDRAWN}{newest}")
    return newest, older


def version_of(folder: Path) -> int | None:
    """Return the version in the name of a published, staged, withdrawn or half-removed folder; None for any other."""
    name = folder.name
    for prefix in (STAGING, WITHDRAWN, REMOVING):
        name = name.removeprefix(prefix)
    return layout.version_named(name)


def versions_in(parent: Path) -> list[int]:
    """Return the versions that folders of this folder are named after, ascending; none if it does not exist."""
    if not parent.is_dir():
        return []
    named = [(layout.version_named(path.name), path) for path in parent.iterdir()]
    return sorted(version for version, path in named if version is not None and _is_folder(path))


def has_manifest(folder: Path) -> bool:
    """Return whether the release in this folder is complete. It is not if this process may not look into it."""
    try:
        return (folder / layout.MANIFEST).is_file()
    except OSError:
        return False


def manifest_in(content: bytes) -> pb.Manifest | None:
    """Return the manifest in the content of its file; None if it cannot be read.

    What a newer trainer may have added is ignored, as the service does.
    """
    try:
        return json_format.Parse(content.decode("utf-8"), pb.Manifest(), ignore_unknown_fields=True)
    except (UnicodeDecodeError, json_format.ParseError):
        return None


def remove_folder(folder: Path) -> None:
    """Remove a folder, if it is there: a rename hides it whole before its files are deleted."""
    if folder.is_dir():
        hidden = folder.with_name(f"{REMOVING}{folder.name}")
        folder.rename(hidden)
        shutil.rmtree(hidden)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _num_bytes(folder: Path) -> int:
    """Return the size of all files below the folder that this process may look at."""
    num_bytes = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                num_bytes += (Path(root) / name).stat().st_size
    return num_bytes


def _manifest(folder: Path) -> pb.Manifest | None:
    try:
        return manifest_in((folder / layout.MANIFEST).read_bytes())
    except OSError:
        return None
