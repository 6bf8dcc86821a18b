"""Prometheus metrics of the command `watch`. None of them names a user or a movie."""

from __future__ import annotations

import time
from enum import Enum

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server


class Result(Enum):
    """What came of a look at the event store."""

    PUBLISHED = "published"
    NOTHING = "nothing"
    FAILED = "failed"


class WatchMetrics:
    """The metrics, and the port at which they can be scraped."""

    def __init__(self, address: str) -> None:
        """Open the port, unless the address is empty.  address: host:port.  Raises OSError if the port is taken."""
        registry = CollectorRegistry()
        self._looks = Counter("trainer_looks", "Looks at the event store, by result.", ["result"], registry=registry)
        self._failures = Gauge(
            "trainer_failures_in_a_row", "Looks that failed since the last one that did not.", registry=registry
        )
        self._looked = Gauge("trainer_last_look_timestamp_seconds", "When the last look ended.", registry=registry)
        self.new_events = Gauge("trainer_new_events", "Events newer than the newest release.", registry=registry)
        self.newest_release = Gauge(
            "trainer_newest_release", "The newest published release, 0 if none.", registry=registry
        )
        self.run_seconds = Gauge("trainer_last_run_seconds", "How long the last training run took.", registry=registry)
        for result in Result:
            self._looks.labels(result.value)
        if address:
            host, _, port = address.rpartition(":")
            start_http_server(int(port), host.strip("[]"), registry)

    def record(self, result: Result) -> None:
        """Count a look."""
        self._looks.labels(result.value).inc()
        self._looked.set(time.time())
        if result == Result.FAILED:
            self._failures.inc()
        else:
            self._failures.set(0)
