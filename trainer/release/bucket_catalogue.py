"""The catalogue of the releases in a bucket: lists, prunes, and withdraws the newest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from object_storage.bucket import MODELS_PREFIX, Bucket
from protos.release.v1.layout import MANIFEST, RELEASES, version_named
from trainer.release.catalogue import WITHDRAWN, PublishedRelease, manifest_in
from trainer.release.errors import NoOlderRelease
from trainer.release.upload import CLAIMS

ABANDONED_AFTER = timedelta(days=1)  # an upload takes minutes, and nobody can tell whether its trainer is alive


def releases_in(bucket: Bucket) -> list[PublishedRelease]:
    """Return the complete releases of a bucket, oldest first. Raises ObjectStorageError."""
    releases, models = _sizes(bucket, RELEASES), _sizes(bucket, MODELS_PREFIX)
    return [
        PublishedRelease(
            version,
            manifest_in(bucket.read(f"{RELEASES}/{version}/{MANIFEST}")),
            version in models,
            sum(releases[version].values()) + sum(models.get(version, {}).values()),
        )
        for version in sorted(releases)
        if MANIFEST in releases[version]
    ]


def prune_bucket(bucket: Bucket, keep: int) -> list[int]:
    """Remove all but the newest `keep` releases and what dead trainers left, and return the versions.

    Of a canary and the release that serves the other users, none is removed. Who serves a release that is removed has a
    copy of it. Raises ObjectStorageError.
    """
    releases, models = _sizes(bucket, RELEASES), _sizes(bucket, MODELS_PREFIX)
    complete = bucket.releases()
    if bucket.canary():
        keep = max(keep, 2)
    removed = []
    for version in sorted({*releases, *models} - {*complete[:keep]}):
        if version in complete or _is_abandoned(bucket, version):
            names = sorted(releases.get(version, {}), key=lambda name: name != MANIFEST)  # the manifest first
            bucket.remove([f"{RELEASES}/{version}/{name}" for name in names])
            bucket.remove([f"{MODELS_PREFIX}/{version}/{name}" for name in models.get(version, {})])
            removed.append(version)
    return removed


def roll_back_bucket(bucket: Bucket) -> tuple[int, int]:
    """Withdraw the newest release, and return (its version, the version that is now the newest).

    Without its manifest it is no release. Raises NoOlderRelease, and ObjectStorageError.
    """
    complete = bucket.releases()
    if len(complete) < 2:
        raise NoOlderRelease(f"expected an older release in {bucket.url} to go back to, found {len(complete)} in all")
    newest, older = complete[:2]
    bucket.rename(f"{RELEASES}/{newest}/{MANIFEST}", f"{RELEASES}/{newest}/{WITHDRAWN}{MANIFEST}")
    return newest, older


def _sizes(bucket: Bucket, folder: str) -> dict[int, dict[str, int]]:
    """The size of each object below a folder by version and name."""
    sizes: dict[int, dict[str, int]] = {}
    for path, size in bucket.objects(folder).items():
        version, _, name = path.partition("/")
        number = version_named(version)
        if number is not None:
            sizes.setdefault(number, {})[name] = size
    return sizes


def _is_abandoned(bucket: Bucket, version: int) -> bool:
    """Whether an incomplete or withdrawn release is so old that no trainer uploads it any more."""
    path = f"{CLAIMS}/{version}"
    return bucket.size(path) is None or datetime.now(UTC) - bucket.modified(path) > ABANDONED_AFTER
