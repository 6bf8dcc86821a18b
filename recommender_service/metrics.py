"""What Prometheus is told. metrics_endpoint.py serves it over HTTP if METRICS_ADDRESS is set.

What every call counts is kept in plain numbers, which `Tallies` hands over when Prometheus asks: the counters of
prometheus_client take a lock each time, and five of them would cost a call as much as a tenth of its search.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import accumulate

from prometheus_client import REGISTRY, Counter, Gauge, Info
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1.layout import FOLD_IN, FOLD_IN_ORDER, LOOK_UP

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # upper bounds of a histogram's buckets
BATCH_SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)

BUILD = Info("recommender_build", "The versions of the service, of Python and of gRPC.")
BUILD.info(
    {
        "version": version("movie-recommender"),
        "python_version": platform.python_version(),
        "grpc_version": version("grpcio"),
    }
)

CALLS_IN_PROGRESS = Gauge("recommender_calls_in_progress", "Calls in progress.")
ACTIVE_RELEASE = Gauge("recommender_active_release", "Version of the active release; 0 if none is active.")
ACTIVE_RELEASE_PUBLISHED = Gauge(
    "recommender_active_release_published_timestamp_seconds",
    "When the active release was published, in seconds since 1970; 0 if none is active.",
)
CANARY_RELEASE = Gauge("recommender_canary_release", "Version of the canary that is served; 0 if none is.")
CANARY_SHARE = Gauge("recommender_canary_share", "Share of the users whom the canary serves, up to 1; 0 without one.")
RELEASES_ACTIVATED = Counter("recommender_releases_activated", "Releases that became active.")
RELEASES_REFUSED = Counter("recommender_releases_refused", "Releases that were refused; the log says why.")
NEWER_RELEASES = Gauge(
    "recommender_newer_releases", "Releases that are newer than the active one and not served, by state.", ["state"]
)
RELEASES_VOLUME_BYTES = Gauge("recommender_releases_volume_bytes", "Size of the file system that holds the releases.")
RELEASES_VOLUME_AVAILABLE_BYTES = Gauge(
    "recommender_releases_volume_available_bytes", "What is free on the file system that holds the releases."
)
OBJECT_STORAGE_REACHED = Gauge(
    "recommender_object_storage_reached_timestamp_seconds",
    "When the bucket was last reached, in seconds since 1970; 0 if it never was, or without ARTIFACTS.",
)
MODEL_SERVER_REACHABLE = Gauge("recommender_model_server_reachable", "1 if the model server answered when last asked.")
MILVUS_REACHABLE = Gauge(
    "recommender_milvus_reachable", "1 if Milvus answered when last asked; 0 if not, or without ANN=milvus."
)
UNSEEN_CALLS = Counter(
    "recommender_unseen_calls", "Calls that gRPC refused before the service saw them, or that clients gave up so early."
)
SHADOW_QUERIES = Counter("recommender_shadow_queries", "Live queries that were repeated exactly, to measure recall.")
SHADOW_MOVIES = Counter("recommender_shadow_movies", "Movies that these queries find exactly.")
SHADOW_MOVIES_FOUND = Counter("recommender_shadow_movies_found", "Those of them that the live answers held.")

CERTIFICATE_EXPIRES = Gauge(
    "recommender_certificate_expires_timestamp_seconds",
    "When the certificate that the service shows expires, in seconds since 1970; 0 without TLS.",
)

ANSWERS: Tally[tuple[api.Source, bool]] = Tally()
"""Answers to Recommend by (source, whether they are degraded)."""

FALLBACKS: Tally[str] = Tally()
"""Answers to Recommend that are not as personal as could be, by reason."""

UNKNOWN_USER, NO_LIKES = "unknown_user", "no_likes"
MODEL_SERVER_FAILED, MODEL_SERVER_LATE, MODEL_SERVER_AWAY = (
    "model_server_failed",
    "model_server_late",
    "model_server_away",
)
MILVUS_FAILED, MILVUS_LATE, MILVUS_AWAY = "milvus_failed", "milvus_late", "milvus_away"
FALLBACK_REASONS = (
    *(UNKNOWN_USER, NO_LIKES),
    *(MODEL_SERVER_FAILED, MODEL_SERVER_LATE, MODEL_SERVER_AWAY),
    *(MILVUS_FAILED, MILVUS_LATE, MILVUS_AWAY),
)

FROM_CACHE, FROM_MODEL_SERVER = "cache", "model_server"
USER_EMBEDDINGS: Tally[tuple[str, str]] = Tally()
"""User embeddings by (signature of the model, where they came from)."""


ALERTING_CODES = ("INTERNAL", "RESOURCE_EXHAUSTED")  # are told from the start, so that the first one is an increase


class Distribution:
    """How many values there were up to each of some bounds, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """bounds: of the histogram's buckets, ascending; one for larger values is added."""
        self._bounds = bounds
        self._buckets = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._sum += value
        self._buckets[bisect_left(self._bounds, value)] += 1

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add the distribution, with these values of the labels, to what Prometheus is told."""
        bounds = [*map(str, self._bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._buckets), strict=True))
        family.add_metric(labels, buckets, sum_value=self._sum)


class CallTally:
    """The number of finished calls of one RPC by status, and how long they took."""

    def __init__(self) -> None:
        self.codes: Tally[str] = Tally(dict.fromkeys(ALERTING_CODES, 0))
        self.seconds = Distribution(SECONDS)

    def add(self, code: str, seconds: float) -> None:
        """Count a call.  code: the name of its status.  seconds: from its arrival to its answer."""
        self.codes[code] += 1
        self.seconds.add(seconds)


CALLS: dict[str, CallTally] = {}
"""Finished calls by the name of the RPC."""

PREDICTS = {signature.name: CallTally() for signature in (LOOK_UP, FOLD_IN, FOLD_IN_ORDER)}
"""Finished Predict calls by the signature of the model."""

PREDICT_BATCH_SIZES = {signature: Distribution(BATCH_SIZES) for signature in PREDICTS}
"""How many users there were in a Predict, by the signature of the model."""


MILVUS_CALLS: dict[str, CallTally] = {}
"""Finished calls to Milvus by what they did: search, or fetch vectors."""

STABLE, CANARY = "stable", "canary"
RELEASE_CALLS = {STABLE: CallTally(), CANARY: CallTally()}
"""Finished calls of Recommend while a canary is served, by which of the two releases answered."""

WHILE_CANARY = "Finished calls of Recommend while a canary is served"

RELEASE_ANSWERS: Tally[tuple[str, api.Source, bool]] = Tally()
"""Their answers, by (which of the two releases answered, source, whether they are degraded)."""


class Tallies(Collector):
    """Hands the tallies above to prometheus_client whenever Prometheus asks for metrics."""

    def collect(self) -> Iterator[Metric]:
        yield from _calls("recommender_calls", "recommender_call_seconds", "rpc", CALLS, "Finished calls", "a call")
        names, what = (
            ("recommender_predicts", "recommender_predict_seconds"),
            "Finished Predict calls to the model server",
        )
        yield from _calls(*names, "signature", PREDICTS, what, "a Predict")
        names = "recommender_milvus_calls", "recommender_milvus_call_seconds"
        yield from _calls(*names, "kind", MILVUS_CALLS, "Finished calls to Milvus", "such a call")
        names, what = ("recommender_release_calls", "recommender_release_call_seconds"), WHILE_CANARY
        yield from _calls(*names, "release", RELEASE_CALLS, what, "such a call")
        by_release = CounterMetricFamily(
            "recommender_release_answers",
            "Answers to Recommend while a canary is served.",
            labels=["release", "source", "degraded"],
        )
        for (release, source, degraded), count in list(RELEASE_ANSWERS.items()):
            by_release.add_metric([release, api.Source.Name(source), str(degraded).lower()], count)
        yield by_release
        sizes = HistogramMetricFamily("recommender_predict_batch_size", "Users in a Predict.", labels=["signature"])
        for signature, distribution in PREDICT_BATCH_SIZES.items():
            distribution.add_to(sizes, [signature])
        answers = CounterMetricFamily("recommender_answers", "Answers to Recommend.", labels=["source", "degraded"])
        for (source, degraded), count in list(ANSWERS.items()):
            answers.add_metric([api.Source.Name(source), str(degraded).lower()], count)
        fallbacks = CounterMetricFamily(
            "recommender_fallbacks", "Answers to Recommend that are less personal than could be.", labels=["reason"]
        )
        for reason in FALLBACK_REASONS:  # all of them, so that the first one counts as an increase
            fallbacks.add_metric([reason], FALLBACKS[reason])
        embeddings = CounterMetricFamily(
            "recommender_user_embeddings", "User embeddings by where they came from.", labels=["signature", "origin"]
        )
        for signature in PREDICTS:
            for origin in (FROM_CACHE, FROM_MODEL_SERVER):
                embeddings.add_metric([signature, origin], USER_EMBEDDINGS[signature, origin])
        yield from (sizes, answers, fallbacks, embeddings)


def _calls(
    count: str, seconds: str, label: str, tallies: dict[str, CallTally], what: str, one: str
) -> tuple[Metric, Metric]:
    """Two families: finished calls by status, and how long they took.  label: names the key of the tallies."""
    calls = CounterMetricFamily(count, f"{what}.", labels=[label, "code"])
    durations = HistogramMetricFamily(seconds, f"Time from the beginning of {one} to its answer.", labels=[label])
    for key, tally in list(tallies.items()):
        for code, number in list(tally.codes.items()):
            calls.add_metric([key, code], number)
        tally.seconds.add_to(durations, [key])
    return calls, durations


REGISTRY.register(Tallies())
