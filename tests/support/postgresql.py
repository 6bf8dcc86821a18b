"""A PostgreSQL server of the tests' own, on the loopback interface."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.privileges import IS_ROOT
from tools.processes import Server, served
from tools.servers import HOST, free_port

USER = "nobody"  # PostgreSQL refuses to run as root
DEBIAN = Path("/usr/lib/postgresql")  # where the Debian package puts programs that are not on the PATH


def _program(name: str) -> str | None:
    found = sorted(DEBIAN.glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


INITDB, POSTGRES = _program("initdb"), _program("postgres")
SETPRIV = shutil.which("setpriv")
WHY_NOT = (
    "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    if INITDB is None or POSTGRES is None
    else "root cannot run PostgreSQL, and there is no setpriv"
    if IS_ROOT and SETPRIV is None
    else ""
)
needs_postgresql = pytest.mark.skipif(WHY_NOT != "", reason=WHY_NOT or "PostgreSQL is installed")


class PostgreSql:
    """A server's folder and port. The server can be started again after it was killed."""

    def __init__(self, folder: Path) -> None:
        """folder: empty; the server's user must be able to get there."""
        self._folder = folder
        self._port = free_port()
        self._as_user: list[str] = []
        if IS_ROOT:
            shutil.chown(folder, USER)
            self._as_user = [str(SETPRIV), f"--reuid={USER}", "--clear-groups"]
        command = [*self._as_user, str(INITDB), f"--pgdata={folder / 'data'}", "--username=postgres", "--no-sync"]
        subprocess.run([*command, "--auth=trust"], check=True, capture_output=True, cwd=folder)

    @contextmanager
    def running(self) -> Iterator[Server]:
        """The server while it runs."""
        settings = [f"-clisten_addresses={HOST}", f"-cport={self._port}", f"-cunix_socket_directories={self._folder}"]
        command = [*self._as_user, str(POSTGRES), "-D", str(self._folder / "data"), *settings]
        with served(command, self._folder / "log", dict(os.environ), "PostgreSQL") as server:
            server.wait_for_line("ready to accept connections")
            yield server
            server.stop(signal.SIGINT)  # its own processes end with it, and it leaves the folder alone

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@{HOST}:{self._port}/{database}"


@contextmanager
def postgresql() -> Iterator[PostgreSql]:
    """A folder and a port for a server, which does not run yet."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        yield PostgreSql(folder)
    finally:
        shutil.rmtree(folder)
