"""The channel to the model server: how addresses are chosen, and how soon a lost connection is noticed.

gRPC's defaults notice the loss of a host after a quarter of an hour, and look a name up again after half a minute.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from recommender_service.access.certificates import Certificates

MAX_RESPONSE_BYTES = 64 << 20

SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
SERVICE_CONFIG = {
    # Calls go in turn to every address of the name, but for those that cannot be reached or say they are not SERVING.
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": ""},  # has no effect where the server has no health service
    "methodConfig": [
        {
            "name": [{"service": service} for service in SERVICES],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.01s",
                "maxBackoff": "0.1s",
                "backoffMultiplier": 2,
                # NOT_FOUND: while a version spreads over several servers, another one may have it already.
                "retryableStatusCodes": ["UNAVAILABLE", "NOT_FOUND"],
            },
        }
    ],
}

OPTIONS = [
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.enable_http_proxy", 0),  # a proxy for the web, set for other programs, does not know the model server
    # A lost connection is tried again at once, and then every second. An attempt may take a second, because TLS takes
    # some hundred milliseconds on a busy machine.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    # The kernel gives a connection up when what was sent has not been acknowledged for this long: the host is gone.
    ("grpc.keepalive_timeout_ms", 1000),
    # A ping shows that the host is there but the process hangs. Servers end the connection of a client that pings more
    # often than every five minutes without a call in between, but here the status is asked for every second.
    ("grpc.keepalive_time_ms", 2000),
    ("grpc.http2.ping_timeout_ms", 1000),  # keepalive_timeout_ms was meant to set it, but does not in gRPC 1.85
    ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
]


def connect(address: str, certificates: Certificates | None = None, name: str = "") -> grpc.aio.Channel:
    """A channel to one server or several.

    address: host:port, or a target such as ipv4:10.0.0.1:8500,10.0.0.2:8500.
    certificates: the authorities to trust, and what to show to the servers; None for a channel without TLS.
    name: that the servers' certificates hold, if it is not the host of the address.
    """
    if certificates is None:
        return grpc.aio.insecure_channel(address, options=OPTIONS)
    credentials = grpc.ssl_channel_credentials(certificates.ca, certificates.key, certificates.certificate)
    named = [("grpc.ssl_target_name_override", name)] if name else []
    return grpc.aio.secure_channel(address, credentials, options=[*OPTIONS, *named])
