"""How a client connects: encryption, token, retries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import grpc

from movie_recommender_client.v1 import recommender_pb2_grpc

SERVICE = "recommender.v1.RecommenderService"

# A call is made again if the recommender cannot be reached or refuses it under load, and gRPC itself refuses with
# CANCELLED. Every RPC may be repeated.
RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": SERVICE}],
            "retryPolicy": {
                "maxAttempts": 5,  # together they take longer than gRPC waits before it connects anew, about a second
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED"],
            },
        }
    ],
    # Where most calls fail, retries would only add to the load: each failure costs a token, ten good calls earn one.
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}

# Of several recommenders, those that are not ready get no calls. A proxy's health is that of any recommender behind it.
FOLLOW_HEALTH = {"healthCheckConfig": {"serviceName": ""}, "loadBalancingConfig": [{"round_robin": {}}]}

OPTIONS: list[tuple[str, Any]] = [
    ("grpc.lb_policy_name", "round_robin"),  # a name may stand for several recommenders
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # A host that is gone without a word is noticed after half a minute, instead of a quarter of an hour. A call on the
    # way to it is lost after a second, and is made again elsewhere.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 1_000),
]


@dataclass(frozen=True)
class Tls:
    """Files in PEM format.

    ca: the authorities that the recommender's certificate is checked against; None: those that gRPC brings along.
    certificate, key: what the client shows, if the recommender asks for a certificate; both or none.
    """

    ca: Path | str | None = None
    certificate: Path | str | None = None
    key: Path | str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files. Raises OSError if one cannot be read, and ValueError if a certificate has no key."""
        if (self.certificate is None) != (self.key is None):
            raise ValueError("Tls: expected a certificate and its key, or neither; got one of them")
        ca, certificate, key = (_content(path) for path in (self.ca, self.certificate, self.key))
        return grpc.ssl_channel_credentials(ca, key, certificate)


def _content(path: Path | str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


class Connection:
    """What both clients have in common."""

    library: ClassVar[Any]  # grpc or grpc.aio, whose channels are used

    def __init__(
        self,
        address: str,
        *,
        tls: Tls | None = None,
        token: str | None = None,
        timeout_s: float = 2.0,
        use_proxy: bool = False,
        replicas: bool = False,
    ) -> None:
        """Connect when the first call is made.

        address: host:port, or another name that gRPC knows, as `dns:///recommender:50051`.
        tls: how to encrypt; None: not at all.  token: shows who calls, and needs `tls`.
        timeout_s: of each call, its retries included.
        use_proxy: whether the proxy that `http_proxy` names takes the calls.
        replicas: whether the address is that of the recommenders themselves, and not of a proxy in front of them. Then
            those that are not ready get no calls.
        """
        self._metadata = _metadata_of(token, tls)
        self._timeout_s = timeout_s
        config = json.dumps({**RETRIES, **FOLLOW_HEALTH} if replicas else RETRIES)
        options = [*OPTIONS, ("grpc.service_config", config), ("grpc.enable_http_proxy", int(use_proxy))]
        if tls is None:
            self._channel = self.library.insecure_channel(address, options=options)
        else:
            self._channel = self.library.secure_channel(address, tls.credentials(), options=options)
        self.stub: Any = recommender_pb2_grpc.RecommenderServiceStub(self._channel)


def _metadata_of(token: str | None, tls: Tls | None) -> tuple[tuple[str, str], ...]:
    """Return what goes along with each call. Raises ValueError if a token would be sent without encryption."""
    if token is None:
        return ()
    if tls is None:
        raise ValueError("token: expected tls too, because without it anybody on the way could read the token")
    return (("authorization", f"Bearer {token}"),)
