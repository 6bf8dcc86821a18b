"""Prometheus metrics, served over HTTP if METRICS_ADDRESS is set.

What every call counts is kept in plain numbers, which `Tallies` hands over when Prometheus asks: the counters of
prometheus_client take a lock each time, and five of them would cost a call as much as a tenth of its search.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import REGISTRY, Counter, Gauge, start_http_server
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.addresses import split

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)  # upper bounds of the histogram's buckets

CALLS_IN_PROGRESS = Gauge("recommender_calls_in_progress", "Calls in progress.")
ACTIVE_RELEASE = Gauge("recommender_active_release", "Version of the active release; 0 if none is active.")
RELEASES_ACTIVATED = Counter("recommender_releases_activated", "Releases that became active.")
RELEASES_REFUSED = Counter("recommender_releases_refused", "Releases that were refused; the log says why.")
MODEL_SERVER_REACHABLE = Gauge("recommender_model_server_reachable", "1 if the model server answered when last asked.")

CERTIFICATE_EXPIRES = Gauge(
    "recommender_certificate_expires_timestamp_seconds",
    "When the certificate that the service shows expires, in seconds since 1970; 0 without TLS.",
)

ANSWERS: Tally[tuple[api.Source, bool]] = Tally()
"""Answers to Recommend by (source, whether they are degraded)."""

UNSEEN_CALLS = Counter(
    "recommender_unseen_calls", "Calls that gRPC refused before the service saw them, or that clients gave up so early."
)

FROM_CACHE, FROM_MODEL_SERVER = "cache", "model server"
USER_EMBEDDINGS: Tally[str] = Tally()
"""User embeddings by where they came from."""


class CallTally:
    """The number of finished calls of one RPC by status, and how long they took.

    buckets: how many calls took up to each bound of SECONDS, but longer than the one before.
    """

    def __init__(self) -> None:
        self.codes: Tally[str] = Tally()
        self.seconds = 0.0
        self.buckets = [0] * (len(SECONDS) + 1)  # the last is for longer calls

    def add(self, code: str, seconds: float) -> None:
        """Count a call.  code: the name of its status.  seconds: from its arrival to its answer."""
        self.codes[code] += 1
        self.seconds += seconds
        self.buckets[bisect_left(SECONDS, seconds)] += 1


CALLS: dict[str, CallTally] = {}
"""Finished calls by the name of the RPC."""


class Tallies(Collector):
    """Hands the tallies above to prometheus_client whenever Prometheus asks for metrics."""

    def collect(self) -> Iterator[Metric]:
        calls = CounterMetricFamily("recommender_calls", "Finished calls.", labels=["rpc", "code"])
        seconds = HistogramMetricFamily(
            "recommender_call_seconds", "Time from a call's arrival to its answer.", labels=["rpc"]
        )
        for rpc, tally in CALLS.items():
            for code, count in list(tally.codes.items()):
                calls.add_metric([rpc, code], count)
            bounds = [*map(str, map(float, SECONDS)), "+Inf"]
            buckets = list(zip(bounds, accumulate(tally.buckets), strict=True))
            seconds.add_metric([rpc], buckets, sum_value=tally.seconds)
        answers = CounterMetricFamily("recommender_answers", "Answers to Recommend.", labels=["source", "degraded"])
        for (source, degraded), count in list(ANSWERS.items()):
            answers.add_metric([api.Source.Name(source), str(degraded).lower()], count)
        embeddings = CounterMetricFamily(
            "recommender_user_embeddings", "User embeddings by where they came from.", labels=["origin"]
        )
        for origin in (FROM_CACHE, FROM_MODEL_SERVER):
            embeddings.add_metric([origin], USER_EMBEDDINGS[origin])
        yield from (calls, seconds, answers, embeddings)


REGISTRY.register(Tallies())


def serve_metrics(address: str) -> int:
    """Start a thread that answers GET /metrics at host:port. Returns the port. Raises OSError if it cannot listen."""
    host, port = split(address)
    server, _ = start_http_server(port, host)
    return int(server.server_port)
