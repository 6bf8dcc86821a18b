"""The channel to a recommender."""

from __future__ import annotations

import grpc


def connect(address: str) -> grpc.Channel:
    """A channel to host:port that takes no proxy.

    gRPC would send calls to the proxy that `http_proxy` names for the web, even calls to this machine.
    """
    return grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
