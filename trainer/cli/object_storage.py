"""The bucket that the environment variable ARTIFACTS names, and the local folder that follows it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from object_storage.bucket import Bucket
from object_storage.mirror import Mirror
from object_storage.url import SETTING, artifacts_url
from trainer.release.catalogue import models_folder, releases_folder
from trainer.release.errors import ArtifactsError

POLL_S = 0.2  # while another process synchronises the same folder


def synchronised(artifacts: Path) -> Bucket | None:
    """Bring the newest releases of the bucket to `artifacts`, and return the bucket; None if ARTIFACTS is not set.

    Raises ArtifactsError if it is wrong, and ObjectStorageError if the store cannot be asked.
    """
    value = os.environ.get(SETTING, "")
    try:
        url = artifacts_url(value)
    except ValueError as error:
        got = "something else" if "@" in value else repr(value[:40])
        raise ArtifactsError(f"{SETTING}: expected {error}, got {got}") from None
    if not url:
        return None
    bucket = Bucket(url)
    mirror = Mirror(bucket, releases_folder(artifacts), models_folder(artifacts))
    while not mirror.look():
        time.sleep(POLL_S)
    return bucket
