"""Opens the ports: for calls, for health alone, and for metrics."""

from __future__ import annotations

import logging
from contextlib import nullcontext

import grpc

from recommender_service.access.server_tls import ServerTls
from recommender_service.addresses import CannotListen, check_free, with_port
from recommender_service.metrics_endpoint import serve_metrics
from recommender_service.port_sharing import above_other_descriptors
from recommender_service.server_options import max_connections
from recommender_service.settings import Settings

log = logging.getLogger(__name__)


def listen(
    settings: Settings,
    is_worker: bool,
    tls: ServerTls | None,
    server: grpc.aio.Server,
    health_server: grpc.aio.Server | None = None,
) -> dict[str, str]:
    """Take the ports, and return what to log of them.  Raises CannotListen.

    health_server: takes HEALTH_ADDRESS, if it is set.
    """
    if not is_worker:  # the supervisor has checked
        for address in filter(None, (settings.listen_address, settings.health_address)):
            check_free("listen on", address)
    with above_other_descriptors(max_connections()) if is_worker else nullcontext():
        addresses = {"address": _open(server, settings.listen_address, tls)}
        if health_server is not None:
            addresses["health"] = _open(health_server, settings.health_address, None)
    if settings.metrics_address and not is_worker:  # a worker tells its supervisor
        addresses["metrics"] = serve_metrics(settings.metrics_address)
    if tls is None and settings.token_file is not None:
        note = "calls carry tokens, but there is no TLS here: they are secret only behind a proxy that has it"
        log.warning("tokens in plaintext", extra={"fields": {"note": note}})
    return addresses


def _open(server: grpc.aio.Server, address: str, tls: ServerTls | None) -> str:
    """Open the address, and return it with the port that was taken.  Raises CannotListen."""
    try:
        port = server.add_insecure_port(address) if tls is None else server.add_secure_port(address, tls.credentials())
    except RuntimeError as error:
        raise CannotListen(f"cannot listen on {address}: {error}") from error
    return with_port(address, port)
