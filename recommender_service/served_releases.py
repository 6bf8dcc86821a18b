"""The releases that a process answers from, and which of them answers a request."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1.canary import Canary
from protos.release.v1.layout import published_at
from recommender_service.answers import Answers
from recommender_service.errors import InvalidArgument, NoActiveRelease, ReleaseGone
from recommender_service.metrics import (
    ACTIVE_RELEASE,
    ACTIVE_RELEASE_PUBLISHED,
    CANARY_RELEASE,
    CANARY_SHARE,
    RELEASES_ACTIVATED,
)
from recommender_service.release import Release
from recommender_service.user_embeddings.source import UserEmbeddings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServedRelease:
    """A release, and what answers from it. A call keeps the one it started with, whatever becomes active meanwhile."""

    release: Release
    user_embeddings: UserEmbeddings
    answers: Answers


class ServedReleases:
    """The active release, and one other in memory: the canary, or the one that was active before or a canary.

    active: answers all requests but those of the canary's users and those that name another release.
    other: answers requests that name it and, while `canary` is set, those of the canary's users.
    canary: None if `other` is none.
    """

    def __init__(self) -> None:
        self.active: ServedRelease | None = None
        self.other: ServedRelease | None = None
        self.canary: Canary | None = None
        self.waiting_for = "the service is starting"  # the reason while no release is active

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
        if self.other is None or version != self.other.release.version:
            raise ReleaseGone(version, self.active.release.version)
        return self.other

    def of_user(self, request: api.RecommendRequest | api.ListUserMoviesRequest) -> ServedRelease:
        """The release that the request names, or else its user's: the canary or the active one. Raises as `held`."""
        if request.release or self.canary is None or self.other is None:
            return self.held(request.release)
        user = request.user_key or (str(request.user_id) if request.HasField("user_id") else "")
        return self.other if user and self.canary.serves(user) else self.held(0)

    def of_batch(self, batch: api.BatchRecommendRequest) -> list[tuple[ServedRelease, Sequence[int]]]:
        """The releases that answer a batch, each with the places of its requests. Raises as `held`."""
        if batch.release or self.canary is None or self.other is None:
            return [(self.held(batch.release), range(len(batch.requests)))]
        active, other = self.held(0), self.other
        places = [
            place
            for place, request in enumerate(batch.requests)
            if request.release == other.release.version or (not request.release and self.of_user(request) is other)
        ]
        rest = sorted(set(range(len(batch.requests))) - set(places))
        return [(served, chosen) for served, chosen in ((active, rest), (other, places)) if chosen]

    def activate(self, served: ServedRelease) -> None:
        """Make a release active. The one that was active stays as the other, so that a canary ends."""
        self.end_canary("another release is active")
        previous, release = self.active, served.release
        self.other, self.active = previous, served
        dataset = release.manifest.dataset
        fields = {"release": release.version, "dataset": dataset.name, "movies": len(release.movies)}
        if previous is not None:
            fields["previous"] = previous.release.version
        if dataset.generated:
            fields["note"] = "trained on a generated sample: good for trying the system, not for figures"
        log.info("release active", extra={"fields": fields})
        _warn_unless_locked(release)
        ACTIVE_RELEASE.set(release.version)
        published = published_at(release.version)
        ACTIVE_RELEASE_PUBLISHED.set(published.timestamp() if published is not None else 0)
        RELEASES_ACTIVATED.inc()

    def start_canary(self, canary: Canary, served: ServedRelease) -> None:
        """Let a release serve its share of the users, or change the share."""
        if self.canary != canary:
            log.info("canary", extra={"fields": {"release": canary.release, "share": canary.share}})
            _warn_unless_locked(served.release)
        self.other, self.canary = served, canary
        CANARY_RELEASE.set(canary.release)
        CANARY_SHARE.set(canary.share)

    def end_canary(self, reason: str) -> None:
        """Let the active release serve all users, if there is a canary, which stays in memory."""
        if self.canary is not None:
            log.info("canary ended", extra={"fields": {"release": self.canary.release, "reason": reason}})
        self.canary = None
        CANARY_RELEASE.set(0)
        CANARY_SHARE.set(0)

    def drop_other(self, reason: str) -> None:
        """Forget the release that is not active.  reason: why a canary ends, if it is one."""
        self.end_canary(reason)
        self.other = None


def _warn_unless_locked(release: Release) -> None:
    if release.lock is None:
        note = "its file system has no file locks, so prune cannot tell that it is in use"
        log.warning("release not locked", extra={"fields": {"release": release.version, "note": note}})
