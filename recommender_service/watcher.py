"""Chooses the release that is served: the newest that is complete, verified, and available on the model server.

While an operator has a canary served, that is the newest release older than the canary, and the canary is the other
release in memory.

User and movie embeddings of two training runs do not share a space, so a release is only ever served together with the
model version of the same number, and only after the model server returned the probe embeddings its manifest holds.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from object_storage.folder import reached_at
from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import manifest_pb2 as pb
from recommender_service.answers import Answers
from recommender_service.canary_setting import CanarySetting
from recommender_service.metrics import NEWER_RELEASES, OBJECT_STORAGE_REACHED
from recommender_service.model_server import ModelServer
from recommender_service.probe import ModelServerProbe, NotYet
from recommender_service.refusals import Refusals
from recommender_service.release import Release
from recommender_service.release_files import ReleaseError, complete_versions, read_manifest
from recommender_service.release_loading import load_release
from recommender_service.releases_volume import measure_volume
from recommender_service.served_releases import ServedRelease, ServedReleases
from recommender_service.serving_status import ReleaseStates, serving_status
from recommender_service.settings import Settings
from recommender_service.user_embeddings.source import UserEmbeddings

if TYPE_CHECKING:  # it is not imported while events are off
    from recommender_service.feedback.feedback import Feedback
    from recommender_service.milvus.store import MilvusStore  # nor this unless ANN=milvus

log = logging.getLogger(__name__)

POLL_S = 1.0


class ReleaseWatcher:
    """Keeps the active release at the newest that the folder and the model server both have.

    The release that was active before stays in memory for calls that name it, until another one is to be loaded or the
    model server drops its model. So no more than two are in memory. A canary takes its place.
    """

    def __init__(
        self,
        settings: Settings,
        model_server: ModelServer,
        answers_of: Callable[[Release], Answers],
        on_active: Callable[[], None],
        feedback: Feedback | None = None,
        milvus: MilvusStore | None = None,
    ) -> None:
        """on_active: called when the first release becomes active.  feedback, milvus: None if they are off."""
        self.releases = ServedReleases()
        self._canary = CanarySetting(settings.releases_dir)
        self._settings = settings
        self._model_server, self._milvus, self._answers_of = model_server, milvus, answers_of
        self._on_active = on_active
        self._feedback = feedback
        self._probe = ModelServerProbe(model_server, milvus)
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

    def status(self) -> api.GetServingStatusResponse:
        """The answer to GetServingStatus, as of the last look."""
        uptime_s = time.monotonic() - self._started
        waiting_for, releases = self.releases.waiting_for, self.releases
        status = serving_status(self._active_manifest(), waiting_for, self._states, self._probe.status, uptime_s)
        if releases.other is not None and releases.canary is None:
            status.previous_release = releases.other.release.version
        canary = self._canary.status(releases.canary)
        if canary is not None:
            status.canary.CopyFrom(canary)
        return status

    def _active_manifest(self) -> pb.Manifest | None:
        return self.releases.active.release.manifest if self.releases.active is not None else None

    async def _look(self) -> None:
        """Make the newest release that can be served active, serve the canary, and record the state of the others."""
        versions, releases = await self._versions(), self.releases
        states = dict.fromkeys(versions, (api.RELEASE_STATE_IDLE, ""))
        self._probe.begin_look()
        kept_back = {version: reason for version in versions if (reason := self._canary.keeps_back(version))}
        states.update(
            (version, (api.RELEASE_STATE_WAITING, f"waiting for {kept_back[version]}")) for version in kept_back
        )
        if versions and len(kept_back) == len(versions):
            self._wait_for(kept_back[versions[-1]])
        for version in (version for version in versions if version not in kept_back):
            state, reason = await self._consider(version, self._confirm_or_activate)
            states[version] = state, reason
            if state == api.RELEASE_STATE_ACTIVE:
                break
            if state == api.RELEASE_STATE_WAITING and not self._probe.status.reachable:
                break  # an older release would wait for the same model server
        if releases.active is not None:
            # If no release can be confirmed now, the active one serves on. Its state says what it would wait for.
            served = releases.active.release.version
            states[served] = api.RELEASE_STATE_ACTIVE, states.get(served, (0, ""))[1]
        await self._look_at_canary(states)
        self._states = states
        if releases.other is not None and (lost := await self._probe.lost(releases.other.release.manifest)):
            releases.drop_other(lost)
        newer = [state for version, (state, _) in states.items() if self._is_newer(version)]
        NEWER_RELEASES.labels("refused").set(newer.count(api.RELEASE_STATE_REFUSED))
        NEWER_RELEASES.labels("waiting").set(newer.count(api.RELEASE_STATE_WAITING))

    def _is_newer(self, version: int) -> bool:
        """Whether a release is newer than the active one, or none is active."""
        return self.releases.active is None or version > self.releases.active.release.version

    async def _look_at_canary(self, states: dict[int, tuple[api.ReleaseState, str]]) -> None:
        """Serve the canary that the operator asks for, or none, and record its state."""
        canary, releases = self._canary.canary, self.releases
        if releases.active is None or self._listing_problem:
            return  # a canary serves on while the releases cannot be listed
        if canary is None or canary.release not in states or not self._is_newer(canary.release):
            releases.end_canary("it was withdrawn, or its release is not there")
        elif releases.canary is not None and releases.canary.release == canary.release and releases.other is not None:
            releases.start_canary(canary, releases.other)  # its share may be another
            states[canary.release] = api.RELEASE_STATE_CANARY, ""
        else:
            states[canary.release] = await self._consider(canary.release, self._start_canary)

    async def _versions(self) -> list[int]:
        """The complete releases, newest first. If there are none, the active one, which serves on."""
        folder, problem = self._settings.releases_dir, ""
        versions: list[int] = []
        try:
            versions = await asyncio.to_thread(complete_versions, folder)
            await asyncio.to_thread(self._canary.read)  # afterwards: it is named before its release appears
            await asyncio.to_thread(measure_volume, folder)
        except OSError as error:
            problem = f"{folder}: cannot be listed: {error.strerror}"
        if self.releases.active is not None and problem not in ("", self._listing_problem):
            log.error("releases not listed", extra={"fields": {"reason": problem}})
        self._listing_problem = problem
        if not versions:
            self._wait_for(f"a complete release in {problem or folder}")
        return versions or [manifest.version for manifest in (self._active_manifest(),) if manifest is not None]

    async def _consider(
        self, version: int, serve: Callable[[Path], Awaitable[api.ReleaseState]]
    ) -> tuple[api.ReleaseState, str]:
        """Serve the release if it can be served. Returns its state and the reason if it is not served.

        serve: serves the release in a folder. Raises ReleaseError or NotYet.
        """
        folder = self._settings.releases_dir / str(version)
        refused = self._refusals.reason(folder)
        if refused is not None:
            return api.RELEASE_STATE_REFUSED, refused
        try:
            return await serve(folder), ""
        except ReleaseError as error:
            return self._refuse(folder, str(error))
        except NotYet as error:
            self._wait_for(str(error))
            return api.RELEASE_STATE_WAITING, f"waiting for {error}"
        except Exception as error:  # an older release may have nothing that leads to this
            return self._refuse(folder, f"{folder}: a bug of this service: {error!r}", error)

    def _refuse(self, folder: Path, reason: str, bug: Exception | None = None) -> tuple[api.ReleaseState, str]:
        self._refusals.add(folder, reason, bug)
        if self.releases.active is None:
            self.releases.waiting_for = f"a release that can be served; refused {reason}"
        return api.RELEASE_STATE_REFUSED, reason

    async def _confirm_or_activate(self, folder: Path) -> api.ReleaseState:
        """Return once the release is active. Raises ReleaseError or NotYet if it cannot be served."""
        active = self._active_manifest()
        if active is not None and active.version == int(folder.name):
            await self._probe.expect_available(active)  # parsing it every second would delay calls
        else:
            served = await self._ready(folder)
            if self._feedback is not None:
                await self._feedback.prepare(served.release, served.release)
            self._activate(served)
        return api.RELEASE_STATE_ACTIVE

    async def _start_canary(self, folder: Path) -> api.ReleaseState:
        """Return once the release serves as the canary. Raises ReleaseError or NotYet if it cannot be served."""
        canary, active, served = self._canary.canary, self.releases.active, await self._ready(folder)
        assert canary is not None
        assert active is not None
        if self._feedback is not None:
            await self._feedback.prepare(served.release, active.release)
        self.releases.start_canary(canary, served)
        return api.RELEASE_STATE_CANARY

    async def _ready(self, folder: Path) -> ServedRelease:
        """The release in a folder, in memory and proven to be the model server's. Raises ReleaseError or NotYet."""
        key_file = self._settings.verify_key_file
        manifest = await asyncio.to_thread(read_manifest, folder, key_file)
        await self._probe.expect_available(manifest)
        if self.releases.other is not None and self.releases.other.release.manifest == manifest:
            served = self.releases.other
        else:
            self.releases.drop_other(f"release {folder.name} takes its place")  # there may be no room for a third one
            loading = asyncio.to_thread(load_release, folder, key_file, with_vectors=self._milvus is None)
            served = self._served(await loading)
        await self._probe.expect_probe_embeddings(folder, served.release.manifest)
        return served

    def _served(self, release: Release) -> ServedRelease:
        size, timeout_s = self._settings.user_cache_size, self._settings.predict_timeout_ms / 1000
        embeddings = UserEmbeddings(self._model_server, release.manifest, size, timeout_s)
        return ServedRelease(release, embeddings, self._answers_of(release))

    def _activate(self, served: ServedRelease) -> None:
        is_first = self.releases.active is None
        self.releases.activate(served)
        gc.freeze()  # else looking for garbage among a release's movies would hold up calls for ten milliseconds
        if is_first:
            self._on_active()

    def _wait_for(self, what: str) -> None:
        """Say in the status and once in the log what the service waits for, if no release is active."""
        if self.releases.active is None and what != self.releases.waiting_for:
            self.releases.waiting_for = what
            log.info("waiting", extra={"fields": {"for": what}})
