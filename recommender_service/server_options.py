"""What the gRPC server allows clients: sizes, queues, connections and their age."""

from __future__ import annotations

import resource

from recommender_service.receiver import MAX_REQUEST_BYTES
from recommender_service.settings import Settings

MAX_CONNECTIONS = 4096  # an idle one takes 15 KB
MAX_HEALTH_CONNECTIONS = 64  # on a port for health only
SPARE_FILES = 256  # descriptors for releases, the model server, the log and connections for health only

Options = list[tuple[str, int]]


def server_options(settings: Settings, shares_port: bool) -> Options:
    """The options of the server.  shares_port: whether other workers listen on the same port."""
    return [
        ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
        # gRPC refuses a growing share of the calls between the first bound and the second, and all calls above it.
        ("grpc.server.max_pending_requests", settings.max_queued_calls),
        ("grpc.server.max_pending_requests_hard_limit", 2 * settings.max_queued_calls),
        # One connection fills a quarter of the queue; what it sends above that waits in the client. So no client alone
        # is refused, and none has others refused, be it by calls that it takes back at once.
        ("grpc.max_concurrent_streams", max(1, settings.max_queued_calls // 4)),
        ("grpc.http2.max_deallocating_streams", max(1, settings.max_queued_calls // 4)),
        ("grpc.so_reuseport", int(shares_port)),  # a second service on the port must fail, not take half of the calls
        *_connections(settings),
    ]


def health_options(settings: Settings, shares_port: bool) -> Options:
    """The options of the server that answers health only."""
    most = ("grpc.max_allowed_incoming_connections", MAX_HEALTH_CONNECTIONS)
    return [most if name == most[0] else (name, value) for name, value in server_options(settings, shares_port)]


def _connections(settings: Settings) -> Options:
    options = [
        ("grpc.max_allowed_incoming_connections", max_connections()),
        ("grpc.server_handshake_timeout_ms", 10_000),  # for clients that connect and say nothing
        ("grpc.max_connection_idle_ms", 300_000),
        # Clients may ping every 10 s, also between calls; those that ping much more often are sent away.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # A client whose host is gone does not answer pings.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.ping_timeout_ms", 20_000),
    ]
    if settings.max_connection_age_s:
        # gRPC adds or subtracts up to a tenth at random, so that clients do not come back all at once.
        options.append(("grpc.max_connection_age_ms", round(1000 * settings.max_connection_age_s)))
        options.append(("grpc.max_connection_age_grace_ms", round(1000 * settings.shutdown_grace_s)))
    return options


def max_connections() -> int:
    """Raise the limit on open files as far as allowed, and return how many connections it leaves room for."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return MAX_CONNECTIONS if most == resource.RLIM_INFINITY else max(1, min(MAX_CONNECTIONS, most - SPARE_FILES))
