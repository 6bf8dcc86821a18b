"""Builds, starts and stops the stand-in."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import (
    model_service_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
)

from serving.config import ConfigError, ModelConfig
from serving.manager import LoadOptions, ModelManager, State
from serving.servicers import ModelServicer, PredictionServicer

log = logging.getLogger(__name__)

GRACE_S = 5.0
# naming them by their descriptors also loads those, which reflection describes them from
SERVICES = tuple(
    service.full_name
    for file in (prediction_service_pb2, model_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a second server on the same port must fail, not take half of the calls
]


class CannotListen(Exception):
    """The address cannot be served on."""


def serve(flags: argparse.Namespace, models: list[ModelConfig]) -> None:
    """Serves until SIGTERM or SIGINT, then lets calls under way finish.

    Raises LoadError or ConfigError if a model cannot be served as configured, CannotListen if the port is taken.
    """
    stop = threading.Event()
    manager = ModelManager(
        models,
        LoadOptions(
            poll_wait_s=flags.file_system_poll_wait_seconds,
            max_num_retries=flags.max_num_load_retries,
            retry_interval_s=flags.load_retry_interval_micros / 1e6,
            warm_up=flags.enable_model_warmup,
            as_content=flags.enable_serialization_as_tensor_content,
        ),
    )

    def on_signal(number: int, frame: object) -> None:
        stop.set()
        manager.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    manager.start()
    if stop.is_set():
        return
    if not flags.allow_version_labels_for_unavailable_models:
        _check_labels(manager, models)

    executor = futures.ThreadPoolExecutor(max_workers=flags.grpc_max_threads)
    server = grpc.server(executor, options=OPTIONS, maximum_concurrent_rpcs=flags.grpc_max_threads)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionServicer(manager), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(manager), server)
    if flags.enable_grpc_healthcheck_service:
        health_pb2_grpc.add_HealthServicer_to_server(_health(), server)
    reflection.enable_server_reflection((*SERVICES, reflection.SERVICE_NAME), server)
    try:
        port = server.add_insecure_port(f"{flags.host}:{flags.port}")
    except RuntimeError as error:
        raise CannotListen(f"cannot listen on {flags.host}:{flags.port}: {error}") from error
    server.start()
    log.info("Running gRPC ModelServer at %s:%d ...", flags.host, port)
    stop.wait()
    log.info("stopping: calls under way may take %g s", GRACE_S)
    server.stop(GRACE_S).wait()


def _check_labels(manager: ModelManager, models: list[ModelConfig]) -> None:
    for model in models:
        statuses = manager.statuses(model.name)
        for version in model.labels.values():
            if statuses.get(version, (State.UNKNOWN,))[0] != State.AVAILABLE:
                raise ConfigError(
                    f"Request to assign label to version {version} of model {model.name}, which is not currently "
                    "available for inference"
                )


def _health() -> health.HealthServicer:
    servicer = health.HealthServicer()
    for service in ("", "ModelService", "PredictionService"):
        servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    return servicer
