"""What is in an event store and not yet in a release."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainer.release.catalogue import PublishedRelease, published_releases


@dataclass(frozen=True)
class News:
    """num_events: events that are newer than the newest release.  num_forgotten: users who were forgotten since.

    release: the version of that release; 0 if there is none.
    """

    num_events: int
    num_forgotten: int
    release: int

    def suffice(self, min_new_events: int) -> bool:
        """Whether to train: for so many events, for a user who must not be in the next release, or for a first one."""
        return not self.release or self.num_forgotten > 0 or self.num_events >= min_new_events

    def __str__(self) -> str:
        if not self.release:
            return f"no release yet, {self.num_events:,} events"
        return f"{self.num_events:,} new events, {self.num_forgotten:,} forgotten users since release {self.release}"


def news_of(url: str, artifacts: Path) -> News:
    """Compare the store with the newest release that can be served. Raises EventStoreError."""
    from events.store import EventStore  # not at the top: without a store, no package for databases is needed

    served = [release for release in published_releases(artifacts) if release.has_model]
    store = EventStore(url)
    try:
        num_events, num_forgotten = store.count(_last_event(served[-1:], store.prepare()))
    finally:
        store.close()
    return News(num_events, num_forgotten, served[-1].version if served else 0)


def _last_event(newest: list[PublishedRelease], store_id: str) -> int:
    """The number of the last event that the newest release holds; 0 if it holds none of this store."""
    for release in newest:
        if release.manifest is not None and release.manifest.events.store_id == store_id:
            return release.manifest.events.last_event
    return 0
