"""Builds, starts and stops the gRPC server."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from protos.recommender.v1 import recommender_pb2
from recommender_service.calls import add_guarded_service
from recommender_service.metrics import serve_metrics
from recommender_service.model_server import ModelServer
from recommender_service.servicer import RecommenderServicer
from recommender_service.settings import Settings
from recommender_service.supervisor import CannotListen
from recommender_service.turns import Turns
from recommender_service.watcher import ReleaseWatcher

log = logging.getLogger(__name__)

# Calls in progress hold so many objects that Python would look for garbage among them every few calls, and find none.
GC_THRESHOLD = 10_000
SERVICE = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"]
MAX_REQUEST_BYTES = 1 << 20  # ten times what the longest allowed lists of ids take


async def serve(settings: Settings, is_worker: bool) -> None:
    """Serve until SIGTERM or SIGINT, then let the calls in progress finish. Raises CannotListen.

    is_worker: the process shares its port with other workers, and stops when its standard input ends, which happens
        when its supervisor is gone.
    """
    gc.set_threshold(GC_THRESHOLD)
    model_server = ModelServer(settings.tf_serving_address)
    health_servicer = health.aio.HealthServicer()
    await _set_health(health_servicer, health_pb2.HealthCheckResponse.NOT_SERVING)
    became_active = asyncio.Event()
    watcher = ReleaseWatcher(settings, model_server, became_active.set)
    server = _build(settings, is_worker, watcher, health_servicer)
    address = _listen(server, settings)
    stop = _stop_event(is_worker)
    await server.start()
    log.info("listening", extra={"fields": {"address": address}})

    watching = asyncio.create_task(watcher.run())
    ready = asyncio.create_task(_report_ready(became_active, health_servicer))
    await stop.wait()
    log.info("stopping", extra={"fields": {"grace_s": settings.shutdown_grace_s}})
    ready.cancel()
    watching.cancel()
    await health_servicer.enter_graceful_shutdown()
    await server.stop(settings.shutdown_grace_s)
    await model_server.close()
    log.info("stopped")


def _build(
    settings: Settings, is_worker: bool, watcher: ReleaseWatcher, health_servicer: health.aio.HealthServicer
) -> grpc.aio.Server:
    """The server with its three services: recommender, health and reflection."""
    options = [
        ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
        # gRPC refuses a growing share of the calls between the first bound and the second, and all calls above it.
        ("grpc.server.max_pending_requests", settings.max_queued_calls),
        ("grpc.server.max_pending_requests_hard_limit", 2 * settings.max_queued_calls),
        ("grpc.so_reuseport", int(is_worker)),  # a second service on the port must fail, not take half of the calls
    ]
    server = grpc.aio.server(options=options)
    turns = Turns()
    servicer = RecommenderServicer(watcher, turns, settings.degraded_answers)
    add_guarded_service(server, SERVICE, servicer, turns, settings.max_concurrent_calls)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection((SERVICE.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return server


def _listen(server: grpc.aio.Server, settings: Settings) -> str:
    """Take the ports for calls and for metrics, and return host:port of the calls. Raises CannotListen."""
    try:
        port = server.add_insecure_port(settings.listen_address)
    except RuntimeError as error:
        raise CannotListen(f"cannot listen on {settings.listen_address}: {error}") from error
    if settings.metrics_address:
        try:
            serve_metrics(settings.metrics_address)
        except OSError as error:
            raise CannotListen(f"cannot serve metrics on {settings.metrics_address}: {error}") from error
    host = settings.listen_address.rpartition(":")[0]
    return f"{host}:{port}"


def _stop_event(is_worker: bool) -> asyncio.Event:
    """An event that is set by SIGTERM, by SIGINT and, in a worker, by the end of standard input."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if is_worker:
        asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    return stop


async def _report_ready(became_active: asyncio.Event, health_servicer: health.aio.HealthServicer) -> None:
    await became_active.wait()
    await _set_health(health_servicer, health_pb2.HealthCheckResponse.SERVING)


async def _set_health(
    health_servicer: health.aio.HealthServicer, status: health_pb2.HealthCheckResponse.ServingStatus
) -> None:
    for service in ("", SERVICE.full_name):
        await health_servicer.set(service, status)
