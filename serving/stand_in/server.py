"""The stand-in as a whole: it is built, started and stopped here."""

from __future__ import annotations

import logging
import signal
import threading
from concurrent import futures
from queue import Empty, SimpleQueue

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import (
    model_service_pb2,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
)

from serving.stand_in.batch_queues import BatchThreads
from serving.stand_in.folder_watcher import FolderWatcher, LoadError
from serving.stand_in.loaded_version import VersionOptions
from serving.stand_in.loading import LoadOptions
from serving.stand_in.metrics import Metrics
from serving.stand_in.models import Models
from serving.stand_in.reload import Reloader
from serving.stand_in.rest import Rest, serve_rest
from serving.stand_in.servicers import ModelService, PredictionServicer, add_model_service
from serving.stand_in.settings import Settings

log = logging.getLogger(__name__)

GRACE_S = 5.0
LISTENS_EVERY_S = 0.5  # for signals
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# The names are taken from the descriptors, because reflection finds only descriptors that have been imported.
SERVICES = tuple(
    service.full_name
    for file in (prediction_service_pb2, model_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)
OPTIONS: dict[str, int | str] = {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    "grpc.so_reuseport": 0,  # without it, a second server on the same port would take half of the calls
}


class CannotListen(Exception):
    """The server cannot listen on its address."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let running calls finish, for at most GRACE_S.

    Raises LoadError if a model cannot be loaded, CannotListen if a port is taken.
    """
    flags = settings.flags
    models = Models(settings.models)
    metrics = Metrics()
    watcher = FolderWatcher(models, flags.file_system_poll_wait_seconds, _load_options(settings, metrics))
    # The main thread waits for these. Of Python's queues and events, only SimpleQueue may be used in a signal handler.
    news: SimpleQueue[LoadError | signal.Signals | None] = SimpleQueue()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, frame: news.put(signal.Signals(number)))
    watcher.start(tell=news.put)
    outcome = _next(news)
    if isinstance(outcome, LoadError):
        raise outcome
    if outcome is None:
        reloader = Reloader(settings.models, models, watcher, flags.allow_version_labels_for_unavailable_models)
        server = _start(settings, models, metrics, reloader)
        if flags.model_config_file and flags.model_config_file_poll_wait_seconds:
            threading.Thread(target=reloader.follow_file, args=(flags,), name="config", daemon=True).start()
        if flags.rest_api_port:
            try:
                serve_rest(flags.host, flags.rest_api_port, Rest(models, metrics, settings.metrics_path))
            except OSError as error:
                raise CannotListen(f"cannot listen on {flags.host}:{flags.rest_api_port}: {error}") from error
        _next(news)
        watcher.stop()
        stopped = server.stop(GRACE_S)
        log.info("stopping: running calls may take %g s", GRACE_S)
        stopped.wait()


def _next(news: SimpleQueue[LoadError | signal.Signals | None]) -> LoadError | signal.Signals | None:
    """Wait for what comes next, and return it.

    Python handles a signal that comes while the main thread is about to wait for ever only when the wait has ended. So
    each wait is short.
    """
    while True:
        try:
            return news.get(timeout=LISTENS_EVERY_S)
        except Empty:
            pass


def _load_options(settings: Settings, metrics: Metrics) -> LoadOptions:
    flags = settings.flags
    version = VersionOptions(
        as_content=flags.enable_serialization_as_tensor_content,
        tags=tuple(flags.saved_model_tags.split(",")),
        intra_op_threads=flags.tensorflow_intra_op_parallelism or flags.tensorflow_session_parallelism,
        inter_op_threads=flags.tensorflow_inter_op_parallelism or flags.tensorflow_session_parallelism,
        batches=BatchThreads(settings.batches) if settings.batches is not None else None,
    )
    return LoadOptions(
        max_num_retries=flags.max_num_load_retries,
        retry_interval_s=flags.load_retry_interval_micros / 1e6,
        warm_up=flags.enable_model_warmup,
        warm_up_iterations=max(flags.num_request_iterations_for_warmup, 1),
        version=version,
        on_warmed_up=metrics.warmed_up,
    )


def _start(settings: Settings, models: Models, metrics: Metrics, reloader: Reloader) -> grpc.Server:
    flags = settings.flags
    executor = futures.ThreadPoolExecutor(max_workers=flags.grpc_max_threads)
    options = list({**OPTIONS, **dict(flags.grpc_channel_arguments)}.items())
    server = grpc.server(executor, options=options, maximum_concurrent_rpcs=flags.grpc_max_threads)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionServicer(models, metrics), server)
    add_model_service(ModelService(models, reloader), server)
    if flags.enable_grpc_healthcheck_service:
        health_pb2_grpc.add_HealthServicer_to_server(_health(), server)
    reflection.enable_server_reflection((*SERVICES, reflection.SERVICE_NAME), server)
    port = _listen(server, f"{flags.host}:{flags.port}", settings.credentials)
    if flags.grpc_socket_path:
        _listen(server, f"unix:{flags.grpc_socket_path}", settings.credentials)
    server.start()
    log.info("Running gRPC ModelServer at %s:%d ...", flags.host, port)
    return server


def _listen(server: grpc.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    """Open the address and return its port.  Raises CannotListen."""
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise CannotListen(f"cannot listen on {address}: {error}") from error


def _health() -> health.HealthServicer:
    servicer = health.HealthServicer()
    for service in ("", "ModelService", "PredictionService"):
        servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    return servicer
