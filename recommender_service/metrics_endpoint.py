"""Serves metrics over HTTP: those of a lone process, or those of all workers on one address.

A supervisor asks each worker over a socket of its own, and tells Prometheus what they answer with the label `worker`.
This module must not import grpc, because the supervisor uses it.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import REGISTRY, Collector

from recommender_service.addresses import CannotListen, split, with_port

WORKER_TIMEOUT_S = 1.0  # far longer than an answer takes, far shorter than Prometheus waits
QUESTION = struct.Struct("!I")  # its number
ANSWER = struct.Struct("!II")  # the number of the question, and how many bytes follow


def serve_metrics(address: str, registry: CollectorRegistry = REGISTRY) -> str:
    """Start a thread that answers GET /metrics at host:port, and return the address. Raises CannotListen."""
    host, port = split(address)
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise CannotListen(f"cannot serve metrics on {address}: {error.strerror}") from error
    return with_port(address, int(server.server_port))


def answer_supervisor(file_descriptor: int) -> None:
    """Start a thread that sends the metrics of this process whenever the supervisor asks for them."""

    def answer() -> None:
        with socket.socket(fileno=file_descriptor) as supervisor, suppress(OSError):  # it may be gone
            while number := supervisor.recv(QUESTION.size, socket.MSG_WAITALL):
                content = generate_latest()
                supervisor.sendall(ANSWER.pack(*QUESTION.unpack(number), len(content)) + content)

    threading.Thread(target=answer, name="metrics", daemon=True).start()


class WorkerSocket:
    """The supervisor's end of the socket over which a worker tells its metrics."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self._questions = 0
        self._received = b""

    def close(self) -> None:
        self._ours.close()

    def ask(self) -> str | None:
        """The worker's metrics as Prometheus reads them; None if it does not answer in time."""
        self._questions += 1
        deadline = time.monotonic() + WORKER_TIMEOUT_S
        try:
            self._ours.settimeout(WORKER_TIMEOUT_S)
            self._ours.sendall(QUESTION.pack(self._questions))
            while True:  # a worker that was late has answered older questions first
                number, length = ANSWER.unpack_from(self._peek(ANSWER.size, deadline))
                content = self._peek(ANSWER.size + length, deadline)[ANSWER.size : ANSWER.size + length]
                self._received = self._received[ANSWER.size + length :]
                if number == self._questions:
                    return content.decode()
        except OSError:
            return None

    def _peek(self, num_bytes: int, deadline: float) -> bytes:
        """What was received and not taken yet, at least so many bytes.  Raises OSError if they do not come in time."""
        while len(self._received) < num_bytes:
            self._ours.settimeout(max(1e-3, deadline - time.monotonic()))
            part = self._ours.recv(1 << 20)
            if not part:
                raise ConnectionError
            self._received += part
        return self._received


class WorkerMetrics(Collector):
    """The metrics of all workers."""

    def __init__(self, sockets: Mapping[int, WorkerSocket], restarts: Mapping[int, int]) -> None:
        """sockets: by the worker's number.  restarts: how often each was replaced, by its number."""
        self._sockets = sockets
        self._restarts = restarts
        self._lock = threading.Lock()  # one scrape at a time, or answers would get into the wrong hands

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        up = GaugeMetricFamily("recommender_worker_up", "1 if the worker told its metrics in time.", labels=["worker"])
        restarts = CounterMetricFamily("recommender_worker_restarts", "Times a worker was replaced.", labels=["worker"])
        with self._lock:
            for number, worker in list(self._sockets.items()):
                content = worker.ask()
                up.add_metric([str(number)], content is not None)
                restarts.add_metric([str(number)], self._restarts[number])
                for family in text_string_to_metric_families(content or ""):
                    known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                    known.samples += [
                        sample._replace(labels={**sample.labels, "worker": str(number)}) for sample in family.samples
                    ]
        yield from (up, restarts, *families.values())


def serve_worker_metrics(address: str, metrics: WorkerMetrics) -> str:
    """Serve the metrics of all workers at host:port, and return the address. Raises CannotListen."""
    registry = CollectorRegistry()
    registry.register(metrics)
    return serve_metrics(address, registry)
