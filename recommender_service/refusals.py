"""Remembers which releases were refused and why, and when each deserves another look."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from protos.release.v1.layout import MANIFEST
from recommender_service.metrics import RELEASES_REFUSED

log = logging.getLogger(__name__)

RECONSIDER_S = 30.0  # the model server may have been repaired although the release has not changed


@dataclass(frozen=True)
class _Refusal:
    """Why and when a release was refused.

    manifest: the fingerprint it had.  reconsider_at: monotonic seconds.
    """

    manifest: tuple[int, int]
    reason: str
    reconsider_at: float


class Refusals:
    """The refused releases, by folder."""

    def __init__(self) -> None:
        self._refused: dict[Path, _Refusal] = {}

    def reason(self, folder: Path) -> str | None:
        """Why the release is still refused, or None if it is to be looked at, for the first time or again.

        It is looked at again if its manifest has changed, and after RECONSIDER_S in any case.
        """
        refusal = self._refused.get(folder)
        if refusal and refusal.manifest == _fingerprint(folder) and time.monotonic() < refusal.reconsider_at:
            return refusal.reason
        return None

    def add(self, folder: Path, reason: str, bug: Exception | None = None) -> None:
        """Remember that the release was refused, and log it unless it was refused for the same reason before.

        bug: the error that nobody expected, if that is the reason; its traceback is logged too.
        """
        known = self._refused.get(folder)
        self._refused[folder] = _Refusal(_fingerprint(folder), reason, time.monotonic() + RECONSIDER_S)
        if known is None or known.reason != reason:
            log.error(
                "release refused", extra={"fields": {"release": int(folder.name), "reason": reason}}, exc_info=bug
            )
            RELEASES_REFUSED.inc()


def _fingerprint(folder: Path) -> tuple[int, int]:
    """(modification time in ns, size) of the manifest; (0, 0) if there is none."""
    try:
        stat = (folder / MANIFEST).stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size
