"""One local folder that follows a bucket: of releases, or of models."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from object_storage.bucket import Bucket, ObjectStorageError
from object_storage.download import download, holds
from object_storage.url import SETTING
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.durable import sync, sync_folder
from protos.release.v1.layout import MANIFEST, RELEASES, version_named
from protos.release.v1.locks import Use, locked

DOWNLOADING, REMOVING = ".downloading-", ".removing-"  # prefixes of a version; every reader skips such names
MARKER = ".object-storage"  # holds the URL of the bucket; was touched when the bucket was last reached
HANDOVER_S = 10.0  # recommenders ask for the model of a withdrawn release until they have gone back

log = logging.getLogger(__name__)


def reached_at(folder: Path) -> float:
    """When the bucket that a folder follows was last reached, in seconds since 1970; 0.0 if it never was."""
    with suppress(OSError):
        return (folder / MARKER).stat().st_mtime
    return 0.0


class Folder:
    """A local folder with a folder for each version.  prefix: where the bucket has the same."""

    def __init__(self, path: Path, prefix: str, bucket: Bucket) -> None:
        """Raises ObjectStorageError if the folder holds what did not come from this bucket, and OSError."""
        self.prefix = prefix
        self._path = path
        self._bucket = bucket
        self._unwanted_since: dict[int, float] = {}  # version → monotonic seconds
        path.mkdir(parents=True, exist_ok=True)
        marker = path / MARKER
        origin = marker.read_text() if marker.exists() else ""
        if origin != bucket.url and (origin or self._versions()):
            raise ObjectStorageError(
                f"{SETTING}={bucket.url}: expected {path} to be empty or to come from there, got releases of "
                f"{origin[:40] or 'another origin'}"
            )
        if not origin:
            marker.write_text(bucket.url)
            os.utime(marker, (0, 0))

    def has(self, version: int) -> bool:
        """Whether this version is there."""
        return (self._path / str(version)).is_dir()

    def bring(self, version: int, files: Sequence[pb.File], small_files: Mapping[str, bytes]) -> None:
        """Verify a version that is there, and download what is missing or damaged of it.

        small_files: content by name; they are written last.
        Raises DamagedRelease, ObjectStorageError and OSError as `download` does.
        """
        folder, staging = self._path / str(version), self._path / f"{DOWNLOADING}{version}"
        if folder.is_dir():
            if all(holds(folder / file.name, file) for file in files) and _have(folder, small_files):
                return
            log.warning("local release is damaged", extra={"fields": {"path": str(folder)}})
            shutil.rmtree(staging, ignore_errors=True)
            folder.rename(staging)
        started, num_bytes = time.monotonic(), 0
        for file in files:
            target = staging / file.name
            if not holds(target, file) and not self._copied(file, target):
                download(self._bucket, f"{self.prefix}/{version}/{file.name}", target, file)
                num_bytes += file.size
        for name, content in small_files.items():
            (staging / name).write_bytes(content)
        sync(staging)
        staging.rename(folder)
        sync_folder(self._path)
        shown = {"path": str(folder), "bytes": num_bytes, "seconds": round(time.monotonic() - started, 2)}
        log.info("synchronised", extra={"fields": shown})

    def remove_all_but(self, wanted: set[int], listed: Sequence[int]) -> set[int]:
        """Remove all versions but the wanted ones, and return what is there then.

        listed: the versions in the bucket, at least one. Of the others, those that are older than all of these were
            pruned, and stay while a recommender serves them; the rest were withdrawn.
        """
        for leftover in self._path.glob(f"{REMOVING}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        unwanted = self._versions() - wanted
        self._unwanted_since = {version: self._unwanted_since.get(version, time.monotonic()) for version in unwanted}
        for version, since in self._unwanted_since.items():
            folder, hidden = self._path / str(version), self._path / f"{REMOVING}{version}"
            is_due = self.prefix == RELEASES or time.monotonic() - since > HANDOVER_S
            is_withdrawn = version not in listed and version > min(listed)
            if is_due and (is_withdrawn or not _is_served(folder)):
                folder.rename(hidden)
                shutil.rmtree(hidden, ignore_errors=True)
        for staging in self._path.glob(f"{DOWNLOADING}*"):
            if version_named(staging.name.removeprefix(DOWNLOADING)) not in wanted:
                shutil.rmtree(staging, ignore_errors=True)
        return self._versions()

    def note_success(self) -> None:
        """Let the marker tell that the bucket was reached now."""
        os.utime(self._path / MARKER)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Try to lock the folder for this process, and yield whether it is. Where files have no locks, it counts as."""
        with locked(self._path / MARKER) as use:
            yield use != Use.IN_USE

    def _versions(self) -> set[int]:
        named = (version_named(path.name) for path in self._path.iterdir())
        return {version for version in named if version is not None}

    def _copied(self, file: pb.File, target: Path) -> bool:
        """Copy a file that another version has too, and return whether there was one."""
        for version in sorted(self._versions(), reverse=True):
            twin = self._path / str(version) / file.name
            if holds(twin, file):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(twin, target)
                return holds(target, file)
        return False


def _have(folder: Path, small_files: Mapping[str, bytes]) -> bool:
    with suppress(OSError):
        return all((folder / name).read_bytes() == content for name, content in small_files.items())
    return False


def _is_served(folder: Path) -> bool:
    """Whether a recommender holds the lock on the manifest in this folder."""
    try:
        with locked(folder / MANIFEST) as use:
            return use == Use.IN_USE
    except OSError:  # a model has no manifest
        return False
