"""A bucket with releases, which fsspec reaches: S3 and what speaks its protocol, Google Cloud Storage, a folder.

    releases/<version>/                 the files of a release; its manifest is written last
    releases/canary.json                names the canary, if there is one
    models/user_embedding/<version>/    its model
    claims/<version>                    the number is taken, for ever
    keys/<table>/<offset>               a piece of a table of text keys

Where the store is and with which rights, each backend learns by itself: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and so on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from object_storage.url import SETTING
from protos.release.v1.canary import CANARY, MAX_BYTES
from protos.release.v1.layout import MANIFEST, MODEL_NAME, MODELS, RELEASES, version_named

# A store that sends no byte for so long is asked once more. Left to themselves, the libraries wait for minutes. It must
# be long enough for what is still on its way when an upload has been handed over: megabytes, over a slow line.
TIMEOUT_S, TRIES = 15.0, 2
LIBRARIES = ("fsspec", "s3fs", "gcsfs", "aiobotocore", "botocore", "aiohttp", "urllib3")
CANARY_PATH = f"{RELEASES}/{CANARY}"
MODELS_PREFIX = f"{MODELS}/{MODEL_NAME}"


class ObjectStorageError(Exception):
    """The store cannot be asked, or answers wrongly. The message names it, what was expected and what came."""


class Bucket:
    """What ARTIFACTS names. Paths are relative to it. Every method raises ObjectStorageError."""

    def __init__(self, url: str) -> None:
        """url: as `artifacts_url` returns it."""
        self.url = url
        import fsspec  # not at the top: without ARTIFACTS, neither it nor its half second is needed

        for library in LIBRARIES:  # their lines for debugging show signatures of requests
            logging.getLogger(library).setLevel(logging.WARNING)
        scheme = url.partition(":")[0]
        with self._expecting("a store"):
            self._fs, self._root = fsspec.url_to_fs(url, use_listings_cache=False, **_options(scheme))
            self._fs.retries = TRIES

    def releases(self) -> list[int]:
        """The versions of the complete releases, newest first."""
        found = [path.split("/") for path in self.objects(RELEASES)]
        versions = [version_named(parts[0]) for parts in found if parts[1:] == [MANIFEST]]
        return sorted((version for version in versions if version), reverse=True)

    def canary(self) -> bytes:
        """The content of the file that names the canary, or more than it may have; empty if there is none."""
        with self._expecting(CANARY_PATH), suppress(FileNotFoundError):
            content: bytes = self._fs.cat_file(f"{self._root}/{CANARY_PATH}", start=0, end=MAX_BYTES + 1)
            return content
        return b""

    def name_canary(self, content: bytes) -> None:
        """Write the file that names the canary, or write over it."""
        with self._expecting(f"to write {CANARY_PATH}"):
            self._fs.pipe_file(f"{self._root}/{CANARY_PATH}", content)

    def forget_canary(self) -> None:
        """Remove the file that names the canary, if it is there."""
        self.remove([CANARY_PATH])

    def objects(self, folder: str) -> dict[str, int]:
        """The size in bytes of every object below a folder, by its path relative to that; none if it is empty."""
        with self._expecting(f"a list of {folder}/"):
            found = self._fs.find(f"{self._root}/{folder}", detail=True)
        start = len(f"{self._root}/{folder}/")
        return {path[start:]: int(info["size"]) for path, info in sorted(found.items())}

    def modified(self, path: str) -> datetime:
        """When an object was written, by the store's clock."""
        with self._expecting(f"the time of {path}"):
            time: datetime = self._fs.modified(f"{self._root}/{path}")
        return time

    def size(self, path: str) -> int | None:
        """The bytes of an object; None if there is none."""
        with self._expecting(f"the size of {path}"), suppress(FileNotFoundError):
            return int(self._fs.info(f"{self._root}/{path}")["size"])
        return None

    def read(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes of an object from `start` to `end`, or fewer if it is shorter."""
        with self._expecting(path):
            content: bytes = self._fs.cat_file(f"{self._root}/{path}", start=start, end=end)
        return content

    def upload(self, file: Path, path: str) -> None:
        """Write an object, or write over it, with the content of a file."""
        with self._expecting(f"to write {path}"):
            self._fs.put_file(str(file), f"{self._root}/{path}")

    def create(self, path: str, content: bytes) -> bool:
        """Write an object unless there is one of that name, and return whether it was written.

        content: no two callers have the same, so that a caller whose first answer was lost knows its own object.
        """
        try:
            with self._expecting(f"to write {path}"), self._fs.open(f"{self._root}/{path}", "xb") as file:
                file.write(content)
        except ObjectStorageError:
            if self.size(path) is None:
                raise
            return self.read(path) == content
        return True

    def rename(self, path: str, to: str) -> None:
        """Give an object another name."""
        with self._expecting(f"to rename {path}"):
            self._fs.mv(f"{self._root}/{path}", f"{self._root}/{to}")

    def remove(self, paths: list[str]) -> None:
        """Remove objects, in this order. Those that are gone already are no error."""
        for path in paths:
            with self._expecting(f"to remove {path}"), suppress(FileNotFoundError):
                self._fs.rm_file(f"{self._root}/{path}")

    @contextmanager
    def _expecting(self, what: str) -> Iterator[None]:
        """Turn whatever a backend raises into ObjectStorageError; each has errors of its own."""
        try:
            yield
        except ObjectStorageError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:40]
            raise ObjectStorageError(
                f"{SETTING}={self.url}: expected {what}, got {type(error).__name__}: {said!r}"
            ) from error


def _options(scheme: str) -> dict[str, Any]:
    """What a backend is opened with."""
    if scheme == "s3":
        config = {
            "connect_timeout": TIMEOUT_S,
            "read_timeout": TIMEOUT_S,
            "retries": {"total_max_attempts": 1},
            "response_checksum_validation": "when_required",  # what is read is compared with the manifest's sha256
        }
        return {"config_kwargs": config}
    return {"auto_mkdir": True} if scheme == "file" else {}
