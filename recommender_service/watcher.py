"""Which release is served: the newest that is complete, verified, and available on the model server.

User and movie embeddings of two training runs do not share a space, so a release is only ever served together with the
model version of the same number, and only after the model server returned the probe embeddings its manifest holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recommender_service.model_server import ModelServer, ModelServerError
from recommender_service.release import Release, load_release
from recommender_service.release_files import MANIFEST, ReleaseError, complete_versions, read_manifest
from recommender_service.settings import Settings
from recommender_service.user_embeddings import UserEmbeddings

log = logging.getLogger(__name__)

POLL_S = 1.0
STATUS_TIMEOUT_S = 2.0
PROBE_TIMEOUT_S = 10.0  # the first Predict after a load may be slow
PROBE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Active:
    """What one call works with from beginning to end, whatever is swapped in meanwhile."""

    release: Release
    user_embeddings: UserEmbeddings


class ReleaseWatcher:
    """Keeps `active` at the newest release that both sides have."""

    def __init__(self, settings: Settings, model_server: ModelServer, on_active: Callable[[], None]) -> None:
        """on_active is called when the first release becomes active."""
        self.active: Active | None = None
        self.waiting_for = "the service is starting"  # why nothing is active
        self._settings = settings
        self._model_server = model_server
        self._on_active = on_active
        self._refused: dict[int, tuple[int, int]] = {}  # version → (mtime, size) of the manifest that was refused

    async def run(self) -> None:
        """Looks for releases every second, for ever."""
        while True:
            try:
                await self._look()
            except Exception:
                log.exception("bug", extra={"fields": {"task": "release watcher"}})
            await asyncio.sleep(POLL_S)

    async def _look(self) -> None:
        releases = self._settings.releases_dir
        versions = await asyncio.to_thread(complete_versions, releases)
        if not versions:
            self._wait_for(f"a complete release in {releases}")
            return
        available: dict[str, set[int]] = {}
        reasons = []  # why the newer ones are not active, newest first
        for version in versions:
            folder = releases / str(version)
            if self._refused.get(version) == _fingerprint(folder):
                continue
            try:
                reason = await self._try(folder, version, available)
                if reason is None:
                    return
                reasons.append(reason)
            except ReleaseError as error:
                self._refuse(folder, version, error)
            except ModelServerError as error:
                reasons.append(f"the model server at {self._model_server.address}: {error}")
                break
        if reasons:
            self._wait_for(reasons[0])

    async def _try(self, folder: Path, version: int, available: dict[str, set[int]]) -> str | None:
        """None if this version is active now, else what it waits for."""
        model_name = read_manifest(folder).model_name
        if model_name not in available:
            available[model_name] = await self._model_server.available_versions(model_name, STATUS_TIMEOUT_S)
        if version not in available[model_name]:
            return f"the model server at {self._model_server.address} to load {model_name} {version}"
        if self.active is not None and self.active.release.version == version:
            return None
        release = await asyncio.to_thread(load_release, folder)
        await self._probe(folder, release)
        self._activate(release)
        return None

    async def _probe(self, folder: Path, release: Release) -> None:
        manifest = release.manifest
        user_ids = [probe.user_id for probe in manifest.probes]
        expected = np.array([probe.embedding for probe in manifest.probes], np.float32)
        got = await self._model_server.user_embeddings(
            manifest.model_name, manifest.version, user_ids, manifest.embedding_dim, PROBE_TIMEOUT_S
        )
        differs = np.abs(got - expected).max(axis=1)
        if differs.max() > PROBE_TOLERANCE:
            user_id = user_ids[int(differs.argmax())]
            raise ReleaseError(
                f"{folder / MANIFEST}: model {manifest.model_name} {manifest.version} of the model server at "
                f"{self._model_server.address} is not the one of this release: user {user_id}'s embedding differs by "
                f"{differs.max():.3g}"
            )

    def _activate(self, release: Release) -> None:
        first, previous = self.active is None, self.active
        settings = self._settings
        self.active = Active(
            release,
            UserEmbeddings(
                self._model_server, release, settings.user_cache_size, timeout_s=settings.predict_timeout_ms / 1000
            ),
        )
        fields = {"release": release.version, "dataset": release.manifest.dataset.name, "movies": len(release.movies)}
        if previous is not None:
            fields["previous"] = previous.release.version
        if release.manifest.dataset.generated:
            fields["note"] = "trained on a generated sample: good for trying the system, not for figures"
        log.info("release active", extra={"fields": fields})
        if first:
            self._on_active()

    def _refuse(self, folder: Path, version: int, error: ReleaseError) -> None:
        self._refused[version] = _fingerprint(folder)
        log.error("release refused", extra={"fields": {"release": version, "reason": str(error)}})
        if self.active is None:
            self.waiting_for = f"a release that can be served; refused {error}"

    def _wait_for(self, what: str) -> None:
        if self.active is None and what != self.waiting_for:
            self.waiting_for = what
            log.info("waiting", extra={"fields": {"for": what}})


def _fingerprint(folder: Path) -> tuple[int, int]:
    """Changes when the manifest does; (0, 0) once it is gone."""
    try:
        stat = (folder / MANIFEST).stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size
