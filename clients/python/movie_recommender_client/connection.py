"""How a client connects: encryption, token, retries."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

SERVICE = "recommender.v1.RecommenderService"

# A call is made again if the recommender cannot be reached or refuses it under load. Every RPC may be repeated.
RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": SERVICE}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ],
    # Where most calls fail, retries would only add to the load: each failure costs a token, ten good calls earn one.
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}

OPTIONS: list[tuple[str, Any]] = [
    ("grpc.service_config", json.dumps(RETRIES)),
    ("grpc.lb_policy_name", "round_robin"),  # a name may stand for several recommenders
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # A host that is gone without a word is noticed after half a minute, instead of a quarter of an hour.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
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


def open_channel(
    address: str,
    tls: Tls | None,
    use_proxy: bool,
    secure: Callable[..., Any],
    insecure: Callable[..., Any],
) -> Any:
    """Return a channel to host:port.

    secure, insecure: the functions of grpc or of grpc.aio that make channels.
    """
    options = [*OPTIONS, ("grpc.enable_http_proxy", int(use_proxy))]
    if tls is None:
        return insecure(address, options=options)
    return secure(address, tls.credentials(), options=options)


def metadata_of(token: str | None, tls: Tls | None) -> tuple[tuple[str, str], ...]:
    """Return what goes along with each call. Raises ValueError if a token would be sent without encryption."""
    if token is None:
        return ()
    if tls is None:
        raise ValueError("token: expected tls too, because without it anybody on the way could read the token")
    return (("authorization", f"Bearer {token}"),)
