"""Names a canary beside the releases, promotes it, and withdraws it. Recommenders follow within a second or two."""

from __future__ import annotations

import os
from pathlib import Path

from object_storage.bucket import Bucket
from protos.release.v1.canary import CANARY, Canary, CanaryFileError, read_canary
from protos.release.v1.durable import sync_folder
from trainer.release.catalogue import releases_folder, roll_back, served_versions, versions_in
from trainer.release.errors import CanaryError


def canary_of(artifacts: Path) -> Canary | None:
    """Return the canary that is named; None if none is, or if its release is not there.

    A trainer that is killed while it publishes leaves the latter. Raises CanaryError if the file cannot be used.
    """
    try:
        canary = read_canary(releases_folder(artifacts))
    except CanaryFileError as error:
        raise CanaryError(str(error)) from error
    return canary if canary is not None and canary.release in versions_in(releases_folder(artifacts)) else None


def expect_no_canary(artifacts: Path) -> None:
    """Raise CanaryError if a canary is named: a third model would take the place of one that is served."""
    canary = canary_of(artifacts)
    if canary is not None:
        raise CanaryError(
            f"release {canary.release} is a canary: nothing is published before it is promoted or withdrawn"
        )


def expect_no_bucket(bucket: Bucket | None) -> None:
    """Raise CanaryError if releases are published to a bucket, from which recommenders learn of no canary."""
    if bucket is not None:
        raise CanaryError(f"a canary needs a folder that the recommenders share; ARTIFACTS names {bucket.url}")


def name_canary(artifacts: Path, canary: Canary) -> None:
    """Name a release as the canary, or change its share.

    Raises CanaryError unless it is the newest release and an older one can serve the other users.
    """
    served = served_versions(artifacts)
    if served[-1:] != [canary.release]:
        newest = f"the newest release, {served[-1]}," if served else "a release"
        raise CanaryError(f"expected {newest} as the canary, got {canary.release}")
    if len(served) < 2:
        raise CanaryError(f"expected an older release in {artifacts} for the other users, found none")
    write_canary(artifacts, canary)


def write_canary(artifacts: Path, canary: Canary) -> None:
    """Write the file that names the canary. It appears whole, by a rename."""
    releases = releases_folder(artifacts)
    written = releases / f".{CANARY}.new"
    with written.open("w", encoding="utf-8") as file:
        file.write(canary.encoded())
        file.flush()
        os.fsync(file.fileno())
    written.replace(releases / CANARY)
    sync_folder(releases)


def promote(artifacts: Path) -> Canary:
    """Let the canary serve all users, and return it. Raises CanaryError if there is none."""
    canary = _expect_canary(artifacts)
    forget_canary(artifacts)
    return canary


def withdraw(artifacts: Path) -> Canary:
    """Let the older release serve all users, withdraw the canary with its model, and return it.

    Raises CanaryError if there is none, and NoOlderRelease if no other release has a model.
    """
    canary = _expect_canary(artifacts)
    newest = served_versions(artifacts)[-1:]
    if newest != [canary.release]:
        raise CanaryError(f"expected the canary {canary.release} to be the newest release, got {newest}")
    roll_back(artifacts)
    forget_canary(artifacts)  # last: without it, a recommender that still lists the release would serve it to all
    return canary


def forget_canary(artifacts: Path) -> None:
    """Remove the file that names the canary, if it is there."""
    (releases_folder(artifacts) / CANARY).unlink(missing_ok=True)
    sync_folder(releases_folder(artifacts))


def _expect_canary(artifacts: Path) -> Canary:
    canary = canary_of(artifacts)
    if canary is None:
        raise CanaryError(f"expected a canary in {releases_folder(artifacts)}, found none")
    return canary
