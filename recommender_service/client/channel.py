"""The channel to a recommender, with what a client shows and trusts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from recommender_service.addresses import split

TOKEN_VARIABLE = "RECOMMENDER_TOKEN"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class AccessError(ValueError):
    """A client's credentials cannot be used. The message says why, and names the file."""


@dataclass(frozen=True)
class Access:
    """What a client trusts and shows.

    ca: PEM text of the authorities that are trusted; None for plaintext.
    certificate, key: PEM text of what is shown to a service that asks for it.  token: is sent with each call.
    """

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    token: str = ""

    @classmethod
    def from_files(
        cls,
        ca: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        token_file: Path | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> Access:
        """Read the files. Without a file, the token is that of the variable RECOMMENDER_TOKEN, if it is set.

        Raises AccessError.
        """
        if (certificate is None) != (key is None):
            raise AccessError("expected a certificate and its key, or neither; got one of them")
        if certificate is not None and ca is None:
            raise AccessError("expected the authority of the service with a certificate for the client, got none")
        try:
            pem = [path.read_bytes() if path else None for path in (ca, certificate, key)]
            token = token_file.read_text(encoding="ascii") if token_file else environment.get(TOKEN_VARIABLE, "")
        except (OSError, UnicodeDecodeError) as error:
            raise AccessError(f"a file cannot be read: {error}") from error
        return cls(pem[0], pem[1], pem[2], token.strip())


PLAINTEXT = Access()


def connect(address: str, access: Access = PLAINTEXT, more_options: Sequence[tuple[str, object]] = ()) -> grpc.Channel:
    """A channel to host:port that takes no proxy.  more_options: of the channel.

    gRPC would send calls to the proxy that `http_proxy` names for the web, even calls to this machine.
    Raises AccessError if a token would leave this machine in plaintext.
    """
    options = [("grpc.enable_http_proxy", 0), *more_options]
    if access.token and access.ca is None and split(address)[0] not in LOOPBACK:
        raise AccessError(f"a token is not sent to {address} in plaintext: name the authority of the service")
    if access.ca is None:
        channel = grpc.insecure_channel(address, options=options)
    else:
        credentials = grpc.ssl_channel_credentials(access.ca, access.key, access.certificate)
        channel = grpc.secure_channel(address, credentials, options=options)
    return grpc.intercept_channel(channel, _TokenSender(access.token)) if access.token else channel


class _Details(NamedTuple):
    """The details of a call, as interceptors pass them on."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _TokenSender(grpc.UnaryUnaryClientInterceptor):
    """Adds the token to calls. gRPC's own call credentials do not work in plaintext, which serves a local try."""

    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        metadata = [*(details.metadata or ()), self._header]
        passed_on = _Details(
            details.method,
            details.timeout,
            metadata,
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
        return continuation(passed_on, request)
