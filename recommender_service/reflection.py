"""Server reflection, from which clients such as grpcurl learn the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection, reflection_pb2

from recommender_service.access.token_file import REFLECTION
from recommender_service.access.tokens import Tokens
from recommender_service.errors import MALFORMED_REQUEST, InvalidArgument, ServiceError, TooManyCalls, abort
from recommender_service.receiver import Receiver

MAX_STREAMS = 100

Context = grpc.aio.ServicerContext[Any, Any]


class Reflection:
    """Answers from the descriptors of some services, to a limited number of clients at a time."""

    def __init__(self, receiver: Receiver, tokens: Tokens | None, *services: str) -> None:
        """tokens: of which a call must carry one; None if calls need none."""
        self._receiver = receiver
        self._tokens = tokens
        self._servicer = reflection.aio.ReflectionServicer([*services, reflection.SERVICE_NAME])
        self._num_streams = 0

    def add_to(self, server: grpc.aio.Server) -> None:
        handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
            self._answer, response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString
        )
        handlers = {"ServerReflectionInfo": handler}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, handlers),))

    async def _answer(self, _: object, context: Context) -> None:
        try:
            if self._tokens is not None:
                self._tokens.check(context, REFLECTION, self._receiver)
        except ServiceError as error:
            await abort(context, error)
        if self._num_streams >= MAX_STREAMS:
            message = f"{self._num_streams} clients use reflection, the most allowed"
            await abort(context, TooManyCalls(message, "TOO_MANY_REFLECTION_STREAMS"))
        self._num_streams += 1
        try:
            responses: Any = self._servicer.ServerReflectionInfo(self._requests(context), context)
            async for response in responses:
                await context.write(response)
        finally:
            self._num_streams -= 1

    async def _requests(self, context: Context) -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        is_first = True
        while (content := await self._receiver.receive(context, is_first)) is not None:
            is_first = False
            try:
                yield reflection_pb2.ServerReflectionRequest.FromString(content)
            except DecodeError:
                problem = "expected a ServerReflectionRequest, got other bytes"
                await abort(context, InvalidArgument("request", problem, MALFORMED_REQUEST))
