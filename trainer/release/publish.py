"""Publishes a release: the user tower for the model server, and everything else for the recommender."""

from __future__ import annotations

from pathlib import Path

from object_storage.bucket import Bucket
from protos.release.v1.canary import Canary, forget_canary, write_canary
from protos.release.v1.durable import sync, sync_folder
from trainer.release.canary import expect_no_canary
from trainer.release.catalogue import models_folder, releases_folder, served_versions
from trainer.release.files import write_files, write_model
from trainer.release.fitted import Fitted
from trainer.release.manifest import write_manifest
from trainer.release.staging import claimed_version, staging_folder
from trainer.release.upload import upload
from trainer.stages import stage


@stage("building the indexes, writing and checking")
def publish(
    fitted: Fitted,
    artifacts: Path,
    signing_key: bytes | None = None,
    bucket: Bucket | None = None,
    canary_share: float | None = None,
) -> Path:
    """Write releases/<version> and models/user_embedding/<version> under `artifacts`, and return the release's folder.

    Each folder appears whole by a rename; the manifest is written last. The release is renamed first: without its model
    it is not served, whereas a model without a release would replace an older one on the model server. If publishing
    fails, the folders are as before.

    signing_key: signs the manifest, if there is one.
    bucket: the release is published there first, if there is one. Raises ObjectStorageError if it cannot be.
    canary_share: of the users whom the release serves at first; all of them if it is None or no older release is there.
    Raises CanaryError if a canary is there already.
    """
    expect_no_canary(artifacts)
    releases, models = releases_folder(artifacts), models_folder(artifacts)
    with claimed_version(models, releases, bucket) as version:
        staged_release, staged_model = staging_folder(releases, version), staging_folder(models, version)
        write_model(fitted, staged_model)
        calibrations = write_files(fitted, staged_release)
        write_manifest(fitted, version, calibrations, staged_release, staged_model, signing_key)
        for folder in (staged_model, staged_release):
            sync(folder)
        canary = Canary(version, canary_share) if canary_share is not None and served_versions(artifacts) else None
        if bucket is not None:
            upload(bucket, version, staged_release, staged_model, canary)
        forget_canary(releases)  # of a trainer that was killed
        if canary is not None:
            write_canary(releases, canary.encoded())  # first, so that the release never serves more users
        staged_release.rename(releases / str(version))
        staged_model.rename(models / str(version))
        for parent in (releases, models):
            sync_folder(parent)
    return releases / str(version)
