"""A recommender that answers every Recommend with one given answer: `python -m benchmarks.echo_server HEX`.

It shows what gRPC alone costs.  HEX: a serialized RecommendResponse in hexadecimal digits.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class Echo(recommender_pb2_grpc.RecommenderServiceServicer):
    def __init__(self, answer: api.RecommendResponse) -> None:
        self._answer = answer

    async def Recommend(self, request: api.RecommendRequest, context: Context) -> api.RecommendResponse:
        return self._answer


async def main(answer: api.RecommendResponse) -> None:
    echo = Echo(answer)  # type: ignore[abstract]  # the other RPCs are not called
    server = grpc.aio.server()
    recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(echo, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"echo at 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(api.RecommendResponse.FromString(bytes.fromhex(sys.argv[1]))))
