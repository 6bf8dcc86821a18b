"""A server that speaks S3 over a folder, and the wire to it, which can be slow and break at a chosen byte."""

from __future__ import annotations

import shutil
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from object_storage.bucket import Bucket
from object_storage.mirror import Mirror
from recommender_service.release_loading import load_release
from tools.processes import Server, wait_for
from tools.servers import HOST, free_port
from trainer.release.catalogue import models_folder, releases_folder, versions_in
from trainer.release.upload import claim, upload

ACCESS, SECRET = "access-of-the-tests", "secret-of-the-tests"

needs_versitygw = pytest.mark.skipif(shutil.which("versitygw") is None, reason="versitygw is not on the PATH (go)")


class ObjectStore:
    """versitygw over a folder, in which every folder is a bucket, and the wire to it."""

    def __init__(self, folder: Path) -> None:
        self.buckets = folder / "buckets"
        self.buckets.mkdir()
        self.wire = Wire(free_port())
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://{HOST}:{self.wire.port}",
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Start the server, and return when its port is open."""
        command = ["versitygw", "--access", ACCESS, "--secret", SECRET, "--region", "us-east-1", "--quiet"]
        command += ["--port", f"{HOST}:{self.wire.server_port}", "posix", str(self.buckets)]
        self.server = Server(command, self._folder / "versitygw.log", {}, "versitygw")
        wait_for(self._is_open, "versitygw listens")

    def heal(self) -> None:
        """Bring back what a test has broken."""
        self.wire.reset()
        if self.server.process.poll() is None:
            self.server.send(signal.SIGCONT)
        else:
            self.start()

    def path_of(self, bucket: Bucket) -> Path:
        """The folder in which the server keeps the objects of a bucket."""
        return self.buckets / bucket.url.removeprefix("s3://")

    def kill(self) -> None:
        """End the server by SIGKILL."""
        self.server.stop(signal.SIGKILL)

    def _is_open(self) -> bool:
        self.server.check_running()
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.wire.server_port)) == 0


class Wire:
    """Passes bytes between clients and the server, and counts them."""

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        wire = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                wire._connect(self.request)

        self._listener = socketserver.ThreadingTCPServer((HOST, 0), Handler)
        self._listener.daemon_threads = True
        self.port = self._listener.server_address[1]
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()
        self.reset()

    def reset(self) -> None:
        """Count from 0, without delay and without anything that is to happen."""
        self.passed = 0
        self.pause_s = 0.0  # before every 4 KB
        self._due: tuple[int, Callable[[], None]] | None = None

    def after(self, num_bytes: int, action: Callable[[], None]) -> None:
        """Do something once so many bytes have passed since the last reset."""
        self._due = num_bytes, action

    def _connect(self, client: socket.socket) -> None:
        with suppress(OSError), socket.create_connection((HOST, self.server_port)) as upstream:
            threading.Thread(target=self._pass_on, args=(client, upstream), daemon=True).start()
            self._pass_on(upstream, client)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(4096):
                self.passed += len(part)
                if self._due is not None and self.passed > self._due[0]:
                    (_, action), self._due = self._due, None
                    action()
                time.sleep(self.pause_s)
                sink.sendall(part)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """A running server with its data in `folder`."""
    store = ObjectStore(folder)
    try:
        yield store
    finally:
        store.server.send(signal.SIGCONT)
        store.kill()


def put(bucket: Bucket, artifacts: Path, *numbers: int) -> list[int]:
    """Upload the releases of these numbers, 0 for the oldest, and return their versions."""
    versions = [versions_in(releases_folder(artifacts))[number] for number in numbers]
    for version in versions:
        assert claim(bucket, version)
        upload(bucket, version, releases_folder(artifacts) / str(version), models_folder(artifacts) / str(version))
    return versions


def mirror_of(bucket: Bucket, folder: Path) -> Mirror:
    """A mirror of releases and models."""
    return Mirror(bucket, releases_folder(folder), models_folder(folder))


def whole_versions(folder: Path) -> list[int]:
    """The versions of the releases in a mirrored folder. Raises ReleaseError if one is not whole."""
    for version in versions_in(releases_folder(folder)):
        load_release(releases_folder(folder) / str(version))
    assert versions_in(models_folder(folder)) == versions_in(releases_folder(folder))
    return versions_in(releases_folder(folder))
