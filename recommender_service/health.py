"""The health service, grpc.health.v1.Health.

grpcio-health-checking has one too, but there a client that watches and does not read keeps the status from changing.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2 as pb

from recommender_service.errors import MALFORMED_REQUEST, InvalidArgument, ServiceError, Stopping, TooManyCalls, abort
from recommender_service.receiver import Receiver

SERVICE = pb.DESCRIPTOR.services_by_name["Health"].full_name
MAX_WATCHERS = 1000
SERVING, NOT_SERVING = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING

Context = grpc.aio.ServicerContext[Any, Any]


class UnknownService(ServiceError):
    """The health of a service was asked for that is not here."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "UNKNOWN_SERVICE"


class Health:
    """One status for the server and all of its services."""

    def __init__(self, receiver: Receiver, *services: str) -> None:
        """services: that may be asked for by name."""
        self._receiver = receiver
        self._services = {"", *services}
        self._status = NOT_SERVING
        self._is_stopping = False
        self._changed = asyncio.Event()  # a new one after every change
        self._num_watchers = 0

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the RPCs. They wait in queues of their own, so that they are answered under overload."""
        serializer = pb.HealthCheckResponse.SerializeToString
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Check": grpc.stream_unary_rpc_method_handler(self._check, response_serializer=serializer),
            "Watch": grpc.stream_stream_rpc_method_handler(self._watch, response_serializer=serializer),
        }
        server.add_registered_method_handlers(SERVICE, handlers)

    def set_serving(self) -> None:
        self._set(SERVING)

    def stop(self) -> None:
        """Tell whoever watches that the server is NOT_SERVING, and end their calls."""
        self._is_stopping = True
        self._set(NOT_SERVING)

    def _set(self, status: pb.HealthCheckResponse.ServingStatus) -> None:
        self._status = status
        self._changed.set()
        self._changed = asyncio.Event()

    async def _check(self, _: object, context: Context) -> pb.HealthCheckResponse:
        service = await self._service(context)
        if service not in self._services:
            await abort(context, UnknownService(f"{service[:40]!r} is not a service of this server"))
        return pb.HealthCheckResponse(status=self._status)

    async def _watch(self, _: object, context: Context) -> None:
        is_known = await self._service(context) in self._services
        if self._num_watchers >= MAX_WATCHERS:
            message = f"{self._num_watchers} clients watch, the most allowed"
            await abort(context, TooManyCalls(message, "TOO_MANY_WATCHERS"))
        self._num_watchers += 1
        try:
            sent = None
            while True:
                is_last, changed = self._is_stopping, self._changed
                status = self._status if is_known else pb.HealthCheckResponse.SERVICE_UNKNOWN
                if status != sent:
                    await context.write(pb.HealthCheckResponse(status=status))
                    sent = status
                if is_last:
                    break
                await changed.wait()
            await abort(context, Stopping())
        finally:
            self._num_watchers -= 1

    async def _service(self, context: Context) -> str:
        """Receive the request, and return the name of the service that it asks for."""
        content = await self._receiver.receive(context)
        try:
            return str(pb.HealthCheckRequest.FromString(content or b"").service)
        except DecodeError:
            problem = "expected a HealthCheckRequest, got other bytes"
            await abort(context, InvalidArgument("request", problem, MALFORMED_REQUEST))
