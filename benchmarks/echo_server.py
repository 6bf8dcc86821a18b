"""An empty grpc.aio server that answers as the recommender did once: `python -m benchmarks.echo_server RPC=HEX …`.

It shows what gRPC alone costs.  HEX: a serialized response of that RPC in hexadecimal digits.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from protos.recommender.v1 import recommender_pb2

SERVICE = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"]

Behaviour = Callable[[Message, grpc.aio.ServicerContext[Any, Any]], Awaitable[Message]]


async def main(answers: Sequence[str]) -> None:
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for answer in answers:
        name, _, encoded = answer.partition("=")
        method = SERVICE.methods_by_name[name]
        response = GetMessageClass(method.output_type).FromString(bytes.fromhex(encoded))
        # The same as the code that protoc generates for a servicer.
        handlers[name] = grpc.unary_unary_rpc_method_handler(
            _echo(response),
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"echo at 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def _echo(response: Message) -> Behaviour:
    async def behaviour(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
        return response

    return behaviour


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
