"""The canary: a new release that serves a share of the users, until it is promoted or withdrawn.

A file beside the releases names it, which the trainer's command line writes and every recommender reads. Its content is
`{"release": <version>, "share": <above 0, at most 1>}`. Without the file there is no canary.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protos.release.v1.durable import sync_folder
from protos.release.v1.layout import version_named

CANARY = "canary.json"
MAX_BYTES = 1000


class CanaryFileError(Exception):
    """The file of the canary cannot be used. The message names the file, what was expected and what it holds."""


@dataclass(frozen=True)
class Canary:
    """release: the version.  share: of the users whom it serves, above 0 and at most 1."""

    release: int
    share: float

    def serves(self, user: str) -> bool:
        """Whether the user, an id or a key, is among those whom the release serves.

        All processes agree on it. A larger share holds the users of a smaller one, and another release serves others.
        """
        digest = hashlib.blake2b(f"{self.release}:{user}".encode("utf-8", "replace"), digest_size=8).digest()
        return int.from_bytes(digest, "big") < self.share * 2**64

    def encoded(self) -> bytes:
        """The content of the file."""
        return json.dumps({"release": self.release, "share": self.share}).encode() + b"\n"


def write_canary(releases: Path, content: bytes) -> None:
    """Write the file that names the canary of a folder of releases. It appears whole, by a rename."""
    written = releases / f".{CANARY}.new"
    with written.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    written.replace(releases / CANARY)
    sync_folder(releases)


def forget_canary(releases: Path) -> None:
    """Remove the file that names the canary of a folder of releases, if it is there."""
    (releases / CANARY).unlink(missing_ok=True)
    sync_folder(releases)


def read_canary(releases: Path) -> Canary | None:
    """The canary of a folder of releases; None if it names none. Raises CanaryFileError."""
    path = releases / CANARY
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CanaryFileError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        values: Any = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        values = None
    if len(content) > MAX_BYTES or not isinstance(values, dict) or set(values) != {"release", "share"}:
        raise CanaryFileError(f'{path}: expected {{"release": …, "share": …}}, got {content[:40]!r}')
    release, share = values["release"], values["share"]
    if type(release) is not int or version_named(str(release)) is None:
        raise CanaryFileError(f"{path}: expected release to be the version of one, got {str(release)[:40]!r}")
    if type(share) not in (int, float) or not 0 < share <= 1:
        raise CanaryFileError(f"{path}: expected share above 0 and at most 1, got {str(share)[:40]!r}")
    return Canary(release, float(share))
