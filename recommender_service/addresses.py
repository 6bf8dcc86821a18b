"""Addresses to listen on: whether they are free, and how to hold one for processes that share it.

This module must not import grpc, because the supervisor uses it.
"""

from __future__ import annotations

import errno
import socket

MAX_PORT = 65535
NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # this machine has no such address


class CannotListen(Exception):
    """The service cannot listen on an address it was given."""


def split(address: str) -> tuple[str, int]:
    """Host and port of host:port; the host of an IPv6 address has no brackets."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def with_port(address: str, port: int) -> str:
    """The address with another port."""
    return f"{address.rpartition(':')[0]}:{port}"


def check_free(purpose: str, address: str) -> None:
    """Check that nobody listens on any of the addresses that host:port stands for. Raises CannotListen.

    gRPC is content with one of them, and would leave the others to another service.
    purpose: goes into the message "cannot <purpose> <address>: …".
    """
    for listener in _bound(purpose, address, socket.SO_REUSEADDR):
        listener.close()


def hold(purpose: str, address: str) -> list[socket.socket]:
    """Bind sockets that keep host:port for processes that share it. They never listen, so they take no connections.

    Raises CannotListen, also if somebody shares the port already.
    """
    check_free(purpose, address)
    return _bound(purpose, address, socket.SO_REUSEPORT)


def _bound(purpose: str, address: str, option: int) -> list[socket.socket]:
    """A socket on every address that host:port stands for; port 0 takes a free one, the same for all."""
    host, port = split(address)
    if host == "::" and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"  # as gRPC does
    bound: list[socket.socket] = []
    try:
        if port > MAX_PORT:
            raise OSError(f"expected a port of at most {MAX_PORT}")
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for family, _, _, _, (its_host, *_) in found:
            try:
                bound.append(_bind(family, str(its_host), port, option))
            except OSError as error:
                if error.errno not in NOT_HERE or len(found) == 1:
                    raise
            else:
                port = bound[-1].getsockname()[1]
    except OSError as error:
        for listener in bound:
            listener.close()
        raise CannotListen(f"cannot {purpose} {address}: {error.strerror or error}") from error
    return bound


def _bind(family: int, host: str, port: int, option: int) -> socket.socket:
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, option, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
