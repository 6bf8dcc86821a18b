"""Local folders that follow a bucket: the newest releases, verified, each appearing whole by a rename.

What reads releases from a local folder need not know of the bucket: the recommender, TensorFlow Serving, the trainer.
While the store is away, everything stays as it is.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

from object_storage.bucket import MODELS_PREFIX, Bucket, ObjectStorageError
from object_storage.download import DamagedRelease
from object_storage.folder import Folder
from object_storage.manifest import read_manifest
from protos.release.v1.canary import CANARY, forget_canary, write_canary
from protos.release.v1.layout import RELEASES

KEEP = 3  # the model server loads two, and the third is what a rollback needs at once
RECONSIDER_S = 60.0  # a damaged release may be repaired

log = logging.getLogger(__name__)


class Mirror:
    """Keeps a folder of releases, a folder of models, or both, at what a bucket holds."""

    def __init__(
        self, bucket: Bucket, releases: Path | None, models: Path | None, verify_key_file: Path | None = None
    ) -> None:
        """releases, models: None leaves them out.

        Raises ObjectStorageError if a folder holds what did not come from this bucket: it would be removed.
        """
        self.url = bucket.url
        self._bucket = bucket
        self._releases = releases
        self._verify_key_file = verify_key_file
        # In this order: a model whose release is missing would take the place of an older one on the model server.
        self._folders = [
            Folder(path, prefix, bucket)
            for path, prefix in ((releases, RELEASES), (models, MODELS_PREFIX))
            if path is not None
        ]
        self._verified: set[int] = set()  # versions whose local files were compared with the manifest
        self._refused: dict[int, tuple[str, float]] = {}  # version → why, and when to look again, monotonic seconds

    def look(self) -> bool:
        """Look into the bucket once, bring what is new, remove what is old. False if another process does so just now.

        A damaged release is logged and left out. If the bucket has no release, all local ones stay, because that is
        more likely a mistake than a wish. Raises ObjectStorageError if the store cannot be asked, and OSError if a
        folder cannot be written.
        """
        with ExitStack() as stack:
            if not all(stack.enter_context(folder.locked()) for folder in self._folders):
                return False
            named = self._named_canary()
            ended = bool(named) and not self._bucket.canary()
            listed = self._bucket.releases()
            canary = self._bucket.canary() if self._releases is not None else b""
            if self._releases is not None and canary not in (b"", named):
                if named and listed:  # one that was withdrawn must be gone before its name is, or it would serve all
                    self._folders[0].remove_all_but(set(listed), listed)
                write_canary(self._releases, canary)  # first, so that a new release never serves more users
            problem: ObjectStorageError | None = None
            for version in listed[:KEEP]:
                try:
                    self._bring(version)
                except ObjectStorageError as error:  # perhaps of this release only
                    problem = problem or error
            if problem is not None:
                raise problem
            wanted = set(listed[:KEEP])
            for folder in self._folders:
                if listed:
                    wanted |= folder.remove_all_but(wanted, listed)
            if self._releases is not None and ended and not canary:
                forget_canary(self._releases)  # last, when one that was withdrawn is not here any more
            for folder in self._folders:
                folder.note_success()
            return True

    def _named_canary(self) -> bytes:
        """The content of the file here that names the canary; empty if there is none."""
        with suppress(FileNotFoundError):
            return (self._releases / CANARY).read_bytes() if self._releases is not None else b""
        return b""

    def _bring(self, version: int) -> None:
        """Bring a release and its model, unless they are there or were found damaged a moment ago."""
        reason, again_at = self._refused.get(version, ("", 0.0))
        if (version in self._verified and all(folder.has(version) for folder in self._folders)) or (
            time.monotonic() < again_at
        ):
            return
        try:
            manifest = read_manifest(self._bucket, version, self._verify_key_file)
            for folder in self._folders:
                if folder.prefix == RELEASES:
                    folder.bring(version, manifest.release, manifest.small_files)
                else:
                    folder.bring(version, manifest.model, {})
        except DamagedRelease as error:
            if str(error) != reason:
                log.error("release not synchronised", extra={"fields": {"release": version, "reason": str(error)}})
            self._refused[version] = str(error), time.monotonic() + RECONSIDER_S
        else:
            self._refused.pop(version, None)
            self._verified.add(version)


def follow(mirror: Mirror, every_s: float) -> NoReturn:
    """Look into the bucket for ever, and log when that fails, for another reason than before, and when it succeeds."""
    problem = ""
    while True:
        event, reason = "object storage not reached", ""
        try:
            mirror.look()
        except ObjectStorageError as error:
            reason = str(error)
        except OSError as error:
            event, reason = "local folder not written", str(error)
        if reason and reason != problem:
            log.error(event, extra={"fields": {"reason": reason}})
        elif problem and not reason:
            log.info("object storage reached again", extra={"fields": {"url": mirror.url}})
        problem = reason
        time.sleep(every_s)
