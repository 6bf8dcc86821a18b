"""Prometheus metrics under TensorFlow Serving's names, in Prometheus' text form."""

from __future__ import annotations

import argparse
import bisect
import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from grpc import StatusCode

from protos.tfserving.v1.monitoring_config_pb2 import MonitoringConfig
from serving.stand_in.status import StatusError
from serving.stand_in.text_proto import read_text_proto

DEFAULT_PATH = "/monitoring/prometheus/metrics"
PREFIX = ":tensorflow:serving:"
BUCKETS_US = [10 * 1.8**power for power in range(33)]  # the real server's

Labels = tuple[tuple[str, str], ...]


def metrics_path(flags: argparse.Namespace) -> str | None:
    """The path of the metrics on the REST port; None if they are off.  Raises ConfigError."""
    if not flags.monitoring_config_file:
        return None
    prometheus = read_text_proto(flags.monitoring_config_file, MonitoringConfig).prometheus_config
    return (prometheus.path or DEFAULT_PATH) if prometheus.enable else None


class Metrics:
    """Counts of requests, and histograms of latencies. Any thread may add to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[Labels, int] = defaultdict(int)
        # Per histogram: a count for each bucket, a count for what is above them all, and the sum.
        self._latencies: dict[tuple[str, Labels], list[float]] = defaultdict(lambda: [0.0] * (len(BUCKETS_US) + 2))

    @contextmanager
    def request(self, model_name: str, api: str, entrypoint: str) -> Iterator[None]:
        """Count the request that the block answers, and its latency if the block raises no StatusError."""
        start, code = time.perf_counter(), StatusCode.OK
        try:
            yield
        except StatusError as error:
            code = error.code
            raise
        finally:
            microseconds = (time.perf_counter() - start) * 1e6
            with self._lock:
                self._requests[("model_name", model_name), ("status", code.name)] += 1
                if code == StatusCode.OK:
                    labels = (("model_name", model_name), ("API", api), ("entrypoint", entrypoint))
                    self._observe("request_latency", labels, microseconds)

    def warmed_up(self, model_path: str, code: StatusCode, microseconds: float) -> None:
        """Count the warm-up of a version."""
        with self._lock:
            labels = (("model_path", model_path), ("status", code.name))
            self._observe("model_warmup_latency", labels, microseconds)

    def text(self) -> str:
        """The page that Prometheus reads."""
        with self._lock:
            requests = dict(self._requests)
            latencies = {key: list(values) for key, values in self._latencies.items()}
        lines = [f"# TYPE {PREFIX}request_count counter"]
        lines += [_sample("request_count", dict(labels), count) for labels, count in sorted(requests.items())]
        for name in sorted({name for name, _ in latencies}):
            lines.append(f"# TYPE {PREFIX}{name} histogram")
            for (histogram, labels), values in sorted(latencies.items()):
                if histogram == name:
                    lines += _histogram(name, dict(labels), values)
        return "\n".join(lines) + "\n"

    def _observe(self, name: str, labels: Labels, microseconds: float) -> None:
        values = self._latencies[name, labels]
        values[bisect.bisect_left(BUCKETS_US, microseconds)] += 1
        values[-1] += microseconds


def _histogram(name: str, labels: Mapping[str, str], values: list[float]) -> Iterator[str]:
    counts = list(itertools.accumulate(values[:-1]))
    for bound, count in zip([*(f"{bucket:g}" for bucket in BUCKETS_US), "+Inf"], counts, strict=True):
        yield _sample(f"{name}_bucket", {**labels, "le": bound}, count)
    yield _sample(f"{name}_sum", labels, values[-1])
    yield _sample(f"{name}_count", labels, counts[-1])


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    quoted = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{PREFIX}{name}{{{quoted}}} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
