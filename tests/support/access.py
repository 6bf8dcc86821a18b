"""Credentials for tests: an authority with certificates, tokens, and calls that carry them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc

from tools.certificates import Authority, Pair

DAY = timedelta(days=1)
TOKEN, OTHER_TOKEN = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def token_line(caller: str, token: str, methods: str = "*") -> str:
    """A line of a file of tokens."""
    return f"{caller}  {hashlib.sha256(token.encode()).hexdigest()}  {methods}\n"


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call that carries the token."""
    return (("authorization", f"Bearer {token}"),)


@dataclass(frozen=True)
class Identity:
    """An authority, and a certificate that it signed for a server on this machine."""

    authority: Authority
    server: Pair

    def write(self, folder: Path, client_ca: bool = False) -> dict[str, str]:
        """Write the files, and return the settings of a service that uses them.

        client_ca: whether clients need a certificate.
        """
        contents = {"TLS_CERTIFICATE": self.server.certificate, "TLS_KEY": self.server.key}
        if client_ca:
            contents["TLS_CLIENT_CA"] = self.authority.certificate
        return {name: str(write(folder / f"{name.lower()}.pem", content)) for name, content in contents.items()}


def identity(lifetime: timedelta = DAY) -> Identity:
    """A new authority, and a server's certificate of that lifetime."""
    authority = Authority("an authority of the tests", DAY)
    return Identity(authority, authority.server(lifetime))


def write(path: Path, content: bytes) -> Path:
    """Replace the file at once, as tools that renew certificates do."""
    path.with_suffix(".new").write_bytes(content)
    return path.with_suffix(".new").replace(path)


@contextmanager
def secure_channel(address: str, ca: bytes, client: Pair | None = None) -> Iterator[grpc.Channel]:
    """A channel with a connection of its own.  ca: what it trusts.  client: what it shows, if it shows anything."""
    key, certificate = (client.key, client.certificate) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    with grpc.secure_channel(address, credentials, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel
