"""Which release is served: the newest that is complete, verified, and available on the model server.

User and movie embeddings of two training runs do not share a space, so a release is only ever served together with the
model version of the same number, and only after the model server returned the probe embeddings its manifest holds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1.layout import MANIFEST
from recommender_service.embeddings import Embeddings
from recommender_service.metrics import (
    ACTIVE_RELEASE,
    MODEL_SERVER_REACHABLE,
    RELEASES_ACTIVATED,
    RELEASES_REFUSED,
)
from recommender_service.model_server import ModelServer, ModelServerError
from recommender_service.release import Release, load_release
from recommender_service.release_files import ReleaseError, complete_versions, read_manifest
from recommender_service.settings import Settings

log = logging.getLogger(__name__)

POLL_S = 1.0
STATUS_TIMEOUT_S = 2.0
PROBE_TIMEOUT_S = 10.0  # the first Predict after a load may be slow
PROBE_TOLERANCE = 1e-4
RECONSIDER_S = 30.0  # a model server may have been repaired without the release changing


class _NotYet(Exception):
    """A release cannot become active now, but may later; the message says what it waits for."""


@dataclass(frozen=True)
class _Refusal:
    """manifest: its modification time and size when it was refused."""

    manifest: tuple[int, int]
    reason: str
    reconsider_at: float


@dataclass(frozen=True)
class Active:
    """What one call works with from beginning to end, whatever is swapped in meanwhile."""

    release: Release
    embeddings: Embeddings


class ReleaseWatcher:
    """Keeps `active` at the newest release that both sides have."""

    def __init__(self, settings: Settings, model_server: ModelServer, on_active: Callable[[], None]) -> None:
        """on_active is called when the first release becomes active."""
        self.active: Active | None = None
        self.waiting_for = "the service is starting"  # why nothing is active
        self._settings = settings
        self._model_server = model_server
        self._on_active = on_active
        self._refused: dict[int, _Refusal] = {}
        self._states: dict[int, tuple[api.ReleaseState, str]] = {}  # of the complete releases, newest first
        self._model_server_status = api.ModelServerStatus(address=model_server.address, error="not asked yet")
        self._started = time.monotonic()

    async def run(self) -> None:
        """Looks for releases every second, for ever."""
        while True:
            try:
                await self._look()
            except Exception:
                log.exception("bug", extra={"fields": {"task": "release watcher"}})
            await asyncio.sleep(POLL_S)

    def status(self) -> api.GetServingStatusResponse:
        """As of the last look."""
        response = api.GetServingStatusResponse(
            releases=[
                api.ReleaseStatus(release=version, state=state, reason=reason)
                for version, (state, reason) in self._states.items()
            ],
            model_server=self._model_server_status,
            uptime_s=time.monotonic() - self._started,
        )
        if self.active is None:
            response.waiting_for = self.waiting_for
        else:
            manifest = self.active.release.manifest
            response.release, response.dataset = manifest.version, manifest.dataset.name
            for evaluation in manifest.evaluations:
                if evaluation.ranking == "index":
                    response.metrics.update(evaluation.metrics)
        return response

    async def _look(self) -> None:
        releases = self._settings.releases_dir
        versions = await asyncio.to_thread(complete_versions, releases)
        states = dict.fromkeys(versions, (api.RELEASE_STATE_IDLE, ""))
        if not versions:
            self._wait_for(f"a complete release in {releases}")
        available: set[int] | None = None
        for version in versions:
            folder = releases / str(version)
            refusal = self._standing_refusal(version, folder)
            if refusal is not None:
                states[version] = api.RELEASE_STATE_REFUSED, refusal
                continue
            try:
                active = self.active.release if self.active is not None else None
                if active is not None and active.version == version:
                    manifest = active.manifest  # parsing it every second would hold up calls
                else:
                    manifest = await asyncio.to_thread(read_manifest, folder)
                if available is None:
                    available = await self._available(manifest.model_name)
                if version not in available:
                    wanted = f"{manifest.model_name} {version}"
                    raise _NotYet(f"the model server at {self._model_server.address} to load {wanted}")
                if active is None or active.version != version:
                    release = await asyncio.to_thread(load_release, folder)
                    await self._probe(folder, release)
                    self._activate(release)
                states[version] = api.RELEASE_STATE_ACTIVE, ""
                break
            except ReleaseError as error:
                self._refuse(folder, version, error)
                states[version] = api.RELEASE_STATE_REFUSED, str(error)
            except _NotYet as error:
                states[version] = api.RELEASE_STATE_WAITING, f"waiting for {error}"
                self._wait_for(str(error))
                if not self._model_server_status.reachable:
                    break
        if self.active is not None:
            served = self.active.release.version
            # if no release could be confirmed, this one serves on, with what is known: better than none
            states[served] = api.RELEASE_STATE_ACTIVE, states.get(served, (0, ""))[1]
        self._states = states

    async def _available(self, model_name: str) -> set[int]:
        status = api.ModelServerStatus(address=self._model_server.address)
        try:
            versions = await self._model_server.available_versions(model_name, STATUS_TIMEOUT_S)
        except ModelServerError as error:
            status.error = str(error)
            raise _NotYet(f"the model server at {self._model_server.address}: {error}") from error
        else:
            status.reachable = True
            status.available_versions.extend(sorted(versions, reverse=True))
            return versions
        finally:
            self._model_server_status = status
            MODEL_SERVER_REACHABLE.set(status.reachable)

    async def _probe(self, folder: Path, release: Release) -> None:
        manifest = release.manifest
        user_ids = [probe.user_id for probe in manifest.probes]
        expected = np.array([probe.embedding for probe in manifest.probes], np.float32)
        try:
            got = await self._model_server.user_embeddings(
                manifest.model_name, manifest.version, user_ids, manifest.embedding_dim, PROBE_TIMEOUT_S
            )
        except ModelServerError as error:
            raise _NotYet(f"probe embeddings of {manifest.model_name} {manifest.version}: {error}") from error
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
            Embeddings(
                self._model_server, release, settings.user_cache_size, timeout_s=settings.predict_timeout_ms / 1000
            ),
        )
        fields = {"release": release.version, "dataset": release.manifest.dataset.name, "movies": len(release.movies)}
        if previous is not None:
            fields["previous"] = previous.release.version
        if release.manifest.dataset.generated:
            fields["note"] = "trained on a generated sample: good for trying the system, not for figures"
        log.info("release active", extra={"fields": fields})
        ACTIVE_RELEASE.set(release.version)
        RELEASES_ACTIVATED.inc()
        if first:
            self._on_active()

    def _refuse(self, folder: Path, version: int, error: ReleaseError) -> None:
        """Says so once, until the reason changes."""
        known = self._refused.get(version)
        self._refused[version] = _Refusal(_fingerprint(folder), str(error), time.monotonic() + RECONSIDER_S)
        if known is None or known.reason != str(error):
            log.error("release refused", extra={"fields": {"release": version, "reason": str(error)}})
            RELEASES_REFUSED.inc()
        if self.active is None:
            self.waiting_for = f"a release that can be served; refused {error}"

    def _standing_refusal(self, version: int, folder: Path) -> str | None:
        """Why it is still refused, without reading gigabytes every second; None if it is worth another look."""
        refusal = self._refused.get(version)
        if refusal and refusal.manifest == _fingerprint(folder) and time.monotonic() < refusal.reconsider_at:
            return refusal.reason
        return None

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
