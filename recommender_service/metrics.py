"""Prometheus metrics, served over HTTP if METRICS_ADDRESS is set."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, start_http_server

CALLS = Counter("recommender_calls", "Finished calls.", ["rpc", "code"])
CALL_SECONDS = Histogram(
    "recommender_call_seconds",
    "Time from a call's arrival to its answer.",
    ["rpc"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
CALLS_IN_PROGRESS = Gauge("recommender_calls_in_progress", "Calls in progress.")
ANSWERS = Counter("recommender_answers", "Answers to Recommend.", ["source", "degraded"])
_USER_EMBEDDINGS = Counter("recommender_user_embeddings", "User embeddings by where they came from.", ["origin"])
EMBEDDINGS_FROM_CACHE = _USER_EMBEDDINGS.labels("cache")
EMBEDDINGS_FROM_MODEL_SERVER = _USER_EMBEDDINGS.labels("model server")
ACTIVE_RELEASE = Gauge("recommender_active_release", "Version of the active release; 0 if none is active.")
RELEASES_ACTIVATED = Counter("recommender_releases_activated", "Releases that became active.")
RELEASES_REFUSED = Counter("recommender_releases_refused", "Releases that were refused; the log says why.")
MODEL_SERVER_REACHABLE = Gauge("recommender_model_server_reachable", "1 if the model server answered when last asked.")


def serve_metrics(address: str) -> None:
    """Start a thread that answers GET /metrics at host:port. Raises OSError if it cannot listen."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), host)
