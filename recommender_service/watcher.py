"""Chooses the release that is served: the newest that is complete, verified, and available on the model server.

User and movie embeddings of two training runs do not share a space, so a release is only ever served together with the
model version of the same number, and only after the model server returned the probe embeddings its manifest holds.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from object_storage.folder import reached_at
from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import manifest_pb2 as pb
from recommender_service.errors import InvalidArgument, NoActiveRelease, ReleaseGone
from recommender_service.metrics import (
    ACTIVE_RELEASE,
    ACTIVE_RELEASE_PUBLISHED,
    NEWER_RELEASES,
    OBJECT_STORAGE_REACHED,
    RELEASES_ACTIVATED,
    RELEASES_VOLUME_AVAILABLE_BYTES,
    RELEASES_VOLUME_BYTES,
)
from recommender_service.model_server import ModelServer
from recommender_service.probe import ModelServerProbe, NotYet
from recommender_service.refusals import Refusals
from recommender_service.release import Release
from recommender_service.release_files import ReleaseError, complete_versions, published_at, read_manifest
from recommender_service.release_loading import load_release
from recommender_service.serving_status import ReleaseStates, serving_status
from recommender_service.settings import Settings
from recommender_service.user_embeddings.source import UserEmbeddings

if TYPE_CHECKING:  # it is not imported while events are off
    from recommender_service.feedback.feedback import Feedback

log = logging.getLogger(__name__)

POLL_S = 1.0


@dataclass(frozen=True)
class ServedRelease:
    """A release and its users' embeddings. A call keeps the one it started with, whatever becomes active meanwhile."""

    release: Release
    user_embeddings: UserEmbeddings


class ReleaseWatcher:
    """Keeps `active` at the newest release that the folder and the model server both have.

    The release that was active before stays in memory for calls that name it, until another one is to be loaded or the
    model server drops its model. So no more than two are in memory.
    """

    def __init__(
        self,
        settings: Settings,
        model_server: ModelServer,
        on_active: Callable[[], None],
        feedback: Feedback | None = None,
    ) -> None:
        """on_active: called when the first release becomes active.  feedback: None if events are off."""
        self.active: ServedRelease | None = None
        self._previous: ServedRelease | None = None
        self.waiting_for = "the service is starting"  # the reason while no release is active
        self._settings = settings
        self._model_server = model_server
        self._on_active = on_active
        self._feedback = feedback
        self._probe = ModelServerProbe(model_server)
        self._refusals = Refusals()
        self._listing_problem = ""  # why the releases could not be listed at the last look
        self._states: ReleaseStates = {}  # of the complete releases, newest first
        self._started = time.monotonic()
        if settings.artifacts:
            OBJECT_STORAGE_REACHED.set_function(partial(reached_at, settings.releases_dir))

    async def run(self) -> None:
        """Look for releases every second, for ever."""
        known = ""
        while True:
            try:
                await self._look()
            except Exception as error:
                if repr(error) != known:  # once, not every second
                    log.exception("bug", extra={"fields": {"task": "release watcher"}})
                known = repr(error)
            await asyncio.sleep(POLL_S)

    def held(self, version: int) -> ServedRelease:
        """The release of that version; 0 stands for the active one.

        Raises NoActiveRelease, ReleaseGone, or InvalidArgument for a negative number.
        """
        if self.active is None:
            raise NoActiveRelease(f"no release is active yet: waiting for {self.waiting_for}")
        if not version or version == self.active.release.version:
            return self.active
        if version < 0:
            raise InvalidArgument("release", f"expected a version, or 0 for the active release; got {version}")
        if self._previous is None or version != self._previous.release.version:
            raise ReleaseGone(version, self.active.release.version)
        return self._previous

    def status(self) -> api.GetServingStatusResponse:
        """The answer to GetServingStatus, as of the last look."""
        uptime_s = time.monotonic() - self._started
        status = serving_status(self._active_manifest(), self.waiting_for, self._states, self._probe.status, uptime_s)
        if self._previous is not None:
            status.previous_release = self._previous.release.version
        return status

    def _active_manifest(self) -> pb.Manifest | None:
        return self.active.release.manifest if self.active is not None else None

    async def _look(self) -> None:
        """Make the newest release that can be served active, and record the state of the others."""
        versions = await self._versions()
        states = dict.fromkeys(versions, (api.RELEASE_STATE_IDLE, ""))
        self._probe.begin_look()
        for version in versions:
            state, reason = await self._consider(self._settings.releases_dir / str(version))
            states[version] = state, reason
            if state == api.RELEASE_STATE_ACTIVE:
                break
            if state == api.RELEASE_STATE_WAITING and not self._probe.status.reachable:
                break  # an older release would wait for the same model server
        if self.active is not None:
            # If no release can be confirmed now, the active one serves on. Its state says what it would wait for.
            served = self.active.release.version
            states[served] = api.RELEASE_STATE_ACTIVE, states.get(served, (0, ""))[1]
        self._states = states
        if self._previous is not None and await self._probe.has_lost(self._previous.release.manifest):
            self._previous = None
        newer = [
            state
            for version, (state, _) in states.items()
            if self.active is None or version > self.active.release.version
        ]
        NEWER_RELEASES.labels("refused").set(newer.count(api.RELEASE_STATE_REFUSED))
        NEWER_RELEASES.labels("waiting").set(newer.count(api.RELEASE_STATE_WAITING))

    async def _versions(self) -> list[int]:
        """The complete releases, newest first. If there are none, the active one, which serves on."""
        releases, problem = self._settings.releases_dir, ""
        versions: list[int] = []
        try:
            versions = await asyncio.to_thread(complete_versions, releases)
            await asyncio.to_thread(_measure_volume, releases)
        except OSError as error:
            problem = f"{releases}: cannot be listed: {error.strerror}"
        if self.active is not None and problem not in ("", self._listing_problem):
            log.error("releases not listed", extra={"fields": {"reason": problem}})
        self._listing_problem = problem
        if not versions:
            self._wait_for(f"a complete release in {problem or releases}")
        return versions or [manifest.version for manifest in (self._active_manifest(),) if manifest is not None]

    async def _consider(self, folder: Path) -> tuple[api.ReleaseState, str]:
        """Make the release active if it can be served. Returns its state and the reason if it is not active."""
        refused = self._refusals.reason(folder)
        if refused is not None:
            return api.RELEASE_STATE_REFUSED, refused
        try:
            await self._confirm_or_activate(folder)
        except ReleaseError as error:
            return self._refuse(folder, str(error))
        except NotYet as error:
            self._wait_for(str(error))
            return api.RELEASE_STATE_WAITING, f"waiting for {error}"
        except Exception as error:  # an older release may have nothing that leads to this
            return self._refuse(folder, f"{folder}: a bug of this service: {error!r}", error)
        return api.RELEASE_STATE_ACTIVE, ""

    def _refuse(self, folder: Path, reason: str, bug: Exception | None = None) -> tuple[api.ReleaseState, str]:
        self._refusals.add(folder, reason, bug)
        if self.active is None:
            self.waiting_for = f"a release that can be served; refused {reason}"
        return api.RELEASE_STATE_REFUSED, reason

    async def _confirm_or_activate(self, folder: Path) -> None:
        """Return once the release is active. Raises ReleaseError or NotYet if it cannot be served."""
        active = self._active_manifest()
        if active is not None and active.version == int(folder.name):
            await self._probe.expect_available(active)  # parsing it every second would delay calls
            return
        key_file = self._settings.verify_key_file
        manifest = await asyncio.to_thread(read_manifest, folder, key_file)
        await self._probe.expect_available(manifest)
        if self._previous is not None and self._previous.release.manifest == manifest:
            served = self._previous
        else:
            self._previous = None  # before another one is loaded, for which there may be no room beside two
            served = self._with_embeddings(await asyncio.to_thread(load_release, folder, key_file))
        await self._probe.expect_probe_embeddings(folder, served.release.manifest)
        if self._feedback is not None:
            await self._feedback.prepare(served.release)
        self._activate(served)

    def _with_embeddings(self, release: Release) -> ServedRelease:
        settings, timeout_s = self._settings, self._settings.predict_timeout_ms / 1000
        embeddings = UserEmbeddings(self._model_server, release.manifest, settings.user_cache_size, timeout_s)
        return ServedRelease(release, embeddings)

    def _activate(self, served: ServedRelease) -> None:
        previous = self._active_manifest()
        self._previous, self.active = self.active, served
        release, dataset = served.release, served.release.manifest.dataset
        fields = {"release": release.version, "dataset": dataset.name, "movies": len(release.movies)}
        if previous is not None:
            fields["previous"] = previous.version
        if dataset.generated:
            fields["note"] = "trained on a generated sample: good for trying the system, not for figures"
        log.info("release active", extra={"fields": fields})
        if release.lock is None:
            note = "its file system has no file locks, so prune cannot tell that it is in use"
            log.warning("release not locked", extra={"fields": {"release": release.version, "note": note}})
        ACTIVE_RELEASE.set(release.version)
        ACTIVE_RELEASE_PUBLISHED.set(published_at(release.version))
        gc.freeze()  # else looking for garbage among a release's movies would hold up calls for ten milliseconds
        RELEASES_ACTIVATED.inc()
        if previous is None:
            self._on_active()

    def _wait_for(self, what: str) -> None:
        """Say in the status and once in the log what the service waits for, if no release is active."""
        if self.active is None and what != self.waiting_for:
            self.waiting_for = what
            log.info("waiting", extra={"fields": {"for": what}})


def _measure_volume(folder: Path) -> None:
    """Record how full the folder's file system is, if the folder exists."""
    with suppress(FileNotFoundError):
        usage = shutil.disk_usage(folder)
        RELEASES_VOLUME_BYTES.set(usage.total)
        RELEASES_VOLUME_AVAILABLE_BYTES.set(usage.free)
