"""The health service, for those who watch it, and what becomes of open streams when the service stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.support.errors import failure_of
from tests.support.http2 import INITIAL_WINDOW_SIZE, connection
from tools.processes import START_TIMEOUT_S, STOP_TIMEOUT_S
from tools.servers import health_status, recommender, wait_until_serving

pytestmark = pytest.mark.slow

WATCH = "/grpc.health.v1.Health/Watch"
GRACE_S = 3 * STOP_TIMEOUT_S  # so that `stop` raises where the grace is waited for
STATUS = health_pb2.HealthCheckResponse


def test_a_service_that_is_not_here_is_unknown(recommender_address: str) -> None:
    """A check of another service is NOT_FOUND, and whoever watches one is told SERVICE_UNKNOWN."""
    assert health_status(recommender_address, "x" * 1000) == "NOT_FOUND"
    with grpc.insecure_channel(recommender_address) as channel:
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="x"), timeout=60)
        assert next(watching).status == STATUS.SERVICE_UNKNOWN


def test_health_changes_while_a_watcher_does_not_read(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> None:
    """The service becomes SERVING although a client that watches it takes no messages."""
    with (
        recommender(tmp_path, model_server_address, tmp_path / "log") as (_, address),
        connection(address, {INITIAL_WINDOW_SIZE: 0}) as stuck,
        grpc.insecure_channel(address) as channel,
    ):
        stuck.call(WATCH, b"")
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=START_TIMEOUT_S)
        assert next(watching).status == STATUS.NOT_SERVING
        (tmp_path / "releases").symlink_to(checkerboard_artifacts / "releases")
        assert next(watching).status == STATUS.SERVING
        wait_until_serving(address)


def test_open_streams_do_not_delay_a_stop(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> None:
    """On SIGTERM whoever watches is told NOT_SERVING, and open streams of health and reflection end at once."""
    grace = {"SHUTDOWN_GRACE_S": str(GRACE_S)}
    with (
        recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", **grace) as (server, address),
        grpc.insecure_channel(address) as channel,
        ThreadPoolExecutor() as pool,
    ):
        stopped = threading.Event()
        wait_until_serving(address)
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert next(watching).status == STATUS.SERVING
        watched = pool.submit(_until_the_end, watching)
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        reflecting = reflection.ServerReflectionInfo(_first_of_none(stopped), timeout=60)
        assert next(reflecting).list_services_response.service
        assert server.stop(signal.SIGTERM) == 0
        stopped.set()
        assert watched.result() == ([STATUS.NOT_SERVING], "STOPPING")


def _until_the_end(watching: Iterator[health_pb2.HealthCheckResponse]) -> tuple[list[int], str]:
    """(statuses, reason of the end) of a stream."""
    statuses: list[int] = []
    failure = failure_of(lambda: statuses.extend(response.status for response in watching))
    return statuses, failure.reason


def _first_of_none(stopped: threading.Event) -> Iterator[reflection_pb2.ServerReflectionRequest]:
    """One request, and none after it until the server has stopped."""
    yield reflection_pb2.ServerReflectionRequest(list_services="")
    stopped.wait()
