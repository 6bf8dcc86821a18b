"""Names a canary beside the releases, promotes it, and withdraws it. Recommenders follow within a second or two."""

from __future__ import annotations

from pathlib import Path

from object_storage.bucket import Bucket
from protos.release.v1.canary import Canary, CanaryFileError, forget_canary, read_canary, write_canary
from trainer.release.bucket_catalogue import roll_back_bucket
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


def name_canary(artifacts: Path, canary: Canary, bucket: Bucket | None) -> None:
    """Name a release as the canary, or change its share.

    bucket: of which `artifacts` is a copy, if there is one; then it is named there.
    Raises CanaryError unless it is the newest release and an older one can serve the other users.
    """
    served = served_versions(artifacts)
    if served[-1:] != [canary.release]:
        newest = f"the newest release, {served[-1]}," if served else "a release"
        raise CanaryError(f"expected {newest} as the canary, got {canary.release}")
    if len(served) < 2:
        raise CanaryError(f"expected an older release in {artifacts} for the other users, found none")
    if bucket is not None:
        bucket.name_canary(canary.encoded())
    else:
        write_canary(releases_folder(artifacts), canary.encoded())


def promote(artifacts: Path, bucket: Bucket | None) -> Canary:
    """Let the canary serve all users, and return it. Raises CanaryError if there is none.

    bucket: as for `name_canary`.
    """
    canary = _expect_canary(artifacts)
    _forget(artifacts, bucket)
    return canary


def withdraw(artifacts: Path, bucket: Bucket | None) -> Canary:
    """Let the older release serve all users, withdraw the canary with its model, and return it.

    bucket: as for `name_canary`.
    Raises CanaryError if there is none, and NoOlderRelease if no other release has a model.
    """
    canary = _expect_canary(artifacts)
    newest = served_versions(artifacts)[-1:]
    if newest != [canary.release]:
        raise CanaryError(f"expected the canary {canary.release} to be the newest release, got {newest}")
    if bucket is not None:
        roll_back_bucket(bucket)
    else:
        roll_back(artifacts)
    _forget(artifacts, bucket)  # last: without it, a recommender that still lists the release would serve it to all
    return canary


def _forget(artifacts: Path, bucket: Bucket | None) -> None:
    if bucket is not None:
        bucket.forget_canary()
    else:
        forget_canary(releases_folder(artifacts))


def _expect_canary(artifacts: Path) -> Canary:
    canary = canary_of(artifacts)
    if canary is None:
        raise CanaryError(f"expected a canary in {releases_folder(artifacts)}, found none")
    return canary
