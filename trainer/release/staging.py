"""Staging folders: a trainer claims a version, writes under a name that the servers skip, and flushes it to disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from object_storage.bucket import Bucket
from protos.release.v1.locks import locked
from trainer.release.catalogue import STAGING, remove_folder, version_of
from trainer.release.locks import CLAIM
from trainer.release.upload import claim, claimed_numbers


@contextmanager
def claimed_version(models: Path, releases: Path, bucket: Bucket | None = None) -> Iterator[int]:
    """Claim a version and yield it; remove everything that was written for it if publishing fails.

    The version is the UTC time as YYYYMMDDHHMMSS. If a version at least as high was ever used, which also happens when
    the clock goes backwards, it is one more than the highest. Creating the staging folder is the claim, so of two
    trainers in the same second only one gets the version. A lock on a file in that folder, which moves along when the
    folder is renamed, tells that its trainer is alive.

    bucket: the version is claimed there too, if there is one. There it stays claimed for ever.
    """
    for parent in (models, releases):
        parent.mkdir(parents=True, exist_ok=True)
    used = [version_of(folder) or 0 for parent in (models, releases) for folder in parent.iterdir()]
    if bucket is not None:
        used += claimed_numbers(bucket)
    version = max(int(datetime.now(UTC).strftime("%Y%m%d%H%M%S")), *(v + 1 for v in used), 0)
    while not _is_claimed(releases, version, bucket):
        version += 1
    (staging_folder(releases, version) / CLAIM).touch()
    try:
        with locked(staging_folder(releases, version) / CLAIM):
            yield version
    except BaseException:
        for parent in (releases, models):
            with suppress(OSError):
                remove_folder(parent / str(version))
            shutil.rmtree(staging_folder(parent, version), ignore_errors=True)
        raise
    (releases / str(version) / CLAIM).unlink()


def _is_claimed(releases: Path, version: int, bucket: Bucket | None) -> bool:
    """Claim a version, and return whether it was free. It leaves nothing behind if it was not."""
    folder = staging_folder(releases, version)
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    is_claimed = False
    try:
        is_claimed = bucket is None or claim(bucket, version)
    finally:
        if not is_claimed:
            folder.rmdir()
    return is_claimed


def staging_folder(parent: Path, version: int) -> Path:
    return parent / f"{STAGING}{version}"
