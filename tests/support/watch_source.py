"""A caller that tells how answers change: `… tests.support.watch_source HOST:PORT`, until it is killed.

It asks for recommendations ten times a second, and prints a line for each change of their source.
"""

from __future__ import annotations

import sys
import time

import grpc

from protos.recommender.v1.recommender_pb2 import RecommendRequest, Source
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.releases import ODD_USER


def main(address: str) -> None:
    last = ""
    with grpc.insecure_channel(address) as channel:
        stub = RecommenderServiceStub(channel)
        while True:
            source = Source.Name(stub.Recommend(RecommendRequest(user_id=ODD_USER), timeout=60).source)
            if source != last:
                print(f"{time.monotonic():.3f} {source}", flush=True)
            last = source
            time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1])
