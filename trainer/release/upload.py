"""Publishes a release in a bucket, where nothing can be renamed: it is complete once its manifest is there."""

from __future__ import annotations

import logging
import socket
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from google.protobuf import json_format

from object_storage.bucket import MODELS_PREFIX, Bucket, ObjectStorageError
from object_storage.url import SETTING
from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.canary import Canary

CLAIMS = "claims"
PATIENCE_S = 300.0  # how long a store may be away while a release is uploaded
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0

T = TypeVar("T")

log = logging.getLogger(__name__)


def claimed_numbers(bucket: Bucket) -> list[int]:
    """Return every number that was ever claimed. Raises ObjectStorageError."""
    numbers = map(layout.version_named, bucket.objects(CLAIMS))
    return [number for number in numbers if number is not None]


def claim(bucket: Bucket, version: int) -> bool:
    """Claim a number for ever, and return whether it was free.

    Raises ObjectStorageError, also if the store would let two trainers have the same number.
    """
    path = f"{CLAIMS}/{version}"
    own, other = _unique(), _unique()
    if not _patiently(lambda: bucket.create(path, own)):
        return False
    if _patiently(lambda: bucket.create(path, other)):
        raise ObjectStorageError(
            f"{SETTING}={bucket.url}: expected a store that refuses to write over an object if asked to "
            "(If-None-Match: *), got one that writes over it"
        )
    return True


def upload(bucket: Bucket, version: int, release: Path, model: Path, canary: Canary | None = None) -> None:
    """Upload a release and its model from these folders; the manifest comes last, when all else is there.

    canary: what the bucket then names as one; None if the release serves all users.
    A store that is away is asked again for PATIENCE_S. Raises ObjectStorageError.
    """
    manifest = json_format.Parse((release / layout.MANIFEST).read_bytes(), pb.Manifest())
    names = [file.name for file in manifest.files]
    if (release / layout.SIGNATURE).exists():
        names.append(layout.SIGNATURE)
    prefix = f"{layout.RELEASES}/{version}"
    files = {f"{MODELS_PREFIX}/{version}/{file.name}": model / file.name for file in manifest.model_files}
    files |= {f"{prefix}/{name}": release / name for name in names}
    for path, file in files.items():
        _patiently(partial(bucket.upload, file, path))
    _patiently(partial(_expect_whole, bucket, version, files))
    _patiently(partial(bucket.name_canary, canary.encoded()) if canary is not None else bucket.forget_canary)
    _patiently(partial(bucket.upload, release / layout.MANIFEST, f"{prefix}/{layout.MANIFEST}"))


def _unique() -> bytes:
    return f"{socket.gethostname()} {uuid.uuid4()}\n".encode()


def _expect_whole(bucket: Bucket, version: int, files: dict[str, Path]) -> None:
    """Check that the bucket has every file in full, for example that no prune has removed one."""
    for prefix in (layout.RELEASES, MODELS_PREFIX):
        folder = f"{prefix}/{version}"
        expected = {path: file.stat().st_size for path, file in files.items() if path.startswith(f"{folder}/")}
        found = {f"{folder}/{name}": size for name, size in bucket.objects(folder).items()}
        for path, size in expected.items():
            if found.get(path) != size:
                raise ObjectStorageError(f"{bucket.url}/{path}: expected {size} bytes, got {found.get(path)}")


def _patiently(action: Callable[[], T]) -> T:
    """Do something, again and again while the store is away, for at most PATIENCE_S."""
    deadline, pause_s = time.monotonic() + PATIENCE_S, FIRST_PAUSE_S
    while True:
        try:
            return action()
        except ObjectStorageError as error:
            if time.monotonic() + pause_s > deadline:
                raise
            if pause_s == FIRST_PAUSE_S:
                log.warning("%s; trying again for %g s", error, PATIENCE_S)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
