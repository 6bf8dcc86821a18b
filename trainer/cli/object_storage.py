"""The bucket that the environment variable ARTIFACTS names, and the local folder that follows it."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from object_storage.url import SETTING, artifacts_url
from trainer.release.catalogue import models_folder, releases_folder
from trainer.release.errors import ArtifactsError

if TYPE_CHECKING:
    from object_storage.bucket import Bucket

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
    # Not at the top: without a bucket, no package for it is needed.
    from object_storage.bucket import Bucket
    from object_storage.mirror import Mirror

    _log_fields()
    bucket = Bucket(url)
    mirror = Mirror(bucket, releases_folder(artifacts), models_folder(artifacts))
    while not mirror.look():
        time.sleep(POLL_S)
    return bucket


def _log_fields() -> None:
    """Let the log show the fields of what object_storage logs, which are JSON in the service's log."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s: %(fields)s"))
    log = logging.getLogger("object_storage")
    log.handlers, log.propagate = [handler], False
