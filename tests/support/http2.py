"""A client that speaks HTTP/2 frame by frame (RFC 9113), and so can do what no gRPC library does."""

from __future__ import annotations

import itertools
import select
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Never

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
INITIAL_WINDOW_SIZE = 4  # a setting
FIRST_WINDOW = 65_535  # of a connection and of a stream
MAX_FRAME = 16_384
CANCEL = 8  # an error code


class Connection:
    """A connection to host:port with an exchange of settings behind it."""

    def __init__(self, address: str, settings: Mapping[int, int] | None = None) -> None:
        """settings: of this side."""
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self._ids = itertools.count(1, 2)
        self._received = b""
        self._stream_windows: dict[int, int] = {}  # how many bytes may still be sent
        self._window, self._first_stream_window = FIRST_WINDOW, FIRST_WINDOW
        payload = b"".join(struct.pack("!HI", *setting) for setting in (settings or {}).items())
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, payload))
        while self.read()[0] != SETTINGS:
            pass

    def close(self) -> None:
        self.socket.close()

    def start_call(self, path: str) -> int:
        """Send the headers of a call, and return the number of its stream."""
        number = next(self._ids)
        self._stream_windows[number] = self._first_stream_window
        self.socket.sendall(frame(HEADERS, END_HEADERS, number, _header_block(path)))
        return number

    def call(self, path: str, message: bytes) -> int:
        """Send a whole call, and return the number of its stream."""
        number, frames = self.frames_of_call(path, message)
        self.socket.sendall(frames)
        return number

    def frames_of_call(self, path: str, message: bytes) -> tuple[int, bytes]:
        """The number of a new stream, and the frames of a whole call in it."""
        number = next(self._ids)
        headers = frame(HEADERS, END_HEADERS, number, _header_block(path))
        return number, headers + frame(DATA, END_STREAM, number, prefixed(message))

    def send(self, number: int, content: bytes) -> None:
        """Send part of a stream's data, as fast as the server lets it."""
        while content:
            allowed = min(self._window, self._stream_windows[number], MAX_FRAME, len(content))
            if allowed <= 0:
                self.read()
                continue
            self.socket.sendall(frame(DATA, 0, number, content[:allowed]))
            content = content[allowed:]
            self._window -= allowed
            self._stream_windows[number] -= allowed

    def flood(self, frames: Callable[[], bytes]) -> Never:
        """Send frames without pause, and ignore what comes back. Raises OSError when the server closes the connection.

        frames: makes those that are sent together.
        """
        self.socket.setblocking(False)
        while True:
            unsent = memoryview(frames())
            while unsent:
                readable, writable, _ = select.select([self.socket], [self.socket], [])
                if readable and not self.socket.recv(1 << 20):
                    raise ConnectionError("the server closed the connection")
                if writable:
                    unsent = unsent[self.socket.send(unsent) :]

    def read_until_closed(self) -> None:
        """Read, and ignore what is read, until the server closes the connection."""
        self.socket.settimeout(None)
        with suppress(ConnectionError):
            while True:
                self.read()

    def read(self) -> tuple[int, int, bytes]:
        """The next frame as (type, flags, payload); answers settings, and keeps account of windows.

        Raises ConnectionError when the server has closed the connection.
        """
        while len(self._received) < 9 or len(self._received) < 9 + int.from_bytes(self._received[:3]):
            more = self.socket.recv(1 << 16)
            if not more:
                raise ConnectionError("the server closed the connection")
            self._received += more
        length = int.from_bytes(self._received[:3])
        kind, flags, number = struct.unpack("!BBI", self._received[3:9])
        payload, self._received = self._received[9 : 9 + length], self._received[9 + length :]
        if kind == SETTINGS and not flags & ACK:
            for setting, value in struct.iter_unpack("!HI", payload):
                if setting == INITIAL_WINDOW_SIZE:
                    for stream in self._stream_windows:
                        self._stream_windows[stream] += value - self._first_stream_window
                    self._first_stream_window = value
            self.socket.sendall(frame(SETTINGS, ACK, 0, b""))
        elif kind == WINDOW_UPDATE and number == 0:
            self._window += int.from_bytes(payload)
        elif kind == WINDOW_UPDATE and number in self._stream_windows:
            self._stream_windows[number] += int.from_bytes(payload)
        elif kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, payload))
        return kind, flags, payload


@contextmanager
def connection(address: str, settings: Mapping[int, int] | None = None) -> Iterator[Connection]:
    """A connection that is closed at the end of the block."""
    made = Connection(address, settings)
    try:
        yield made
    finally:
        made.close()


def frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    """A frame.  number: of the stream, 0 for the connection."""
    return len(payload).to_bytes(3) + struct.pack("!BBI", kind, flags, number) + payload


def prefixed(message: bytes) -> bytes:
    """A message as gRPC sends it: not compressed, after its length."""
    return struct.pack("!BI", 0, len(message)) + message


def _header_block(path: str) -> bytes:
    """The headers of a call, each as a literal that is not indexed (RFC 7541, section 6.2.2)."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    strings = [text.encode() for header in headers.items() for text in header]
    assert all(len(string) < 127 for string in strings)
    encoded = [bytes([len(string)]) + string for string in strings]
    return b"".join(b"\0" + name + value for name, value in zip(encoded[::2], encoded[1::2], strict=True))
