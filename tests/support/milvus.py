"""milvus-lite as a server of its own, which a test may kill, and what loads releases into it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymilvus import MilvusClient, MilvusException
from pymilvus.client.types import LoadState

from tools.processes import Server, served, wait_for
from tools.servers import HOST
from trainer.release.catalogue import releases_folder

START_S = 60.0


@contextmanager
def milvus(folder: Path, port: int) -> Iterator[Server]:
    """milvus-lite over `folder`, once it answers."""
    command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(folder), "--host", HOST]
    log = folder.with_suffix(".log")
    with served([*command, "--port", str(port)], log, {"PYTHONUNBUFFERED": "1"}, "milvus-lite") as server:
        server.wait_for_line("gRPC server listening")
        yield server


@contextmanager
def loader(artifacts: Path, uri: str, log: Path) -> Iterator[Server]:
    """What loads the releases in `artifacts` into Milvus."""
    environment = {**settings_for(uri), "RELEASES_DIR": str(releases_folder(artifacts))}
    with served([sys.executable, "-m", "recommender_service.milvus"], log, environment, "the loader") as server:
        yield server


def settings_for(uri: str) -> dict[str, str]:
    """What makes a recommender search in Milvus."""
    return {"ANN": "milvus", "MILVUS_URI": uri}


def connected(uri: str) -> MilvusClient:
    """A client, once Milvus answers."""
    clients: list[MilvusClient] = []

    def answers() -> bool:
        try:
            clients.append(MilvusClient(uri, timeout=1))
        except MilvusException:
            return False
        return True

    wait_for(answers, f"{uri} answers", START_S)
    return clients[0]


def wait_until_loaded(client: MilvusClient, version: int) -> str:
    """Return the name of the release's collection once it is there and in memory."""
    names: list[str] = []

    def is_loaded() -> bool:
        begin = f"movies_{version}_"
        names[:] = [name for name in client.list_collections() if name.startswith(begin) and "_loading_" not in name]
        return bool(names) and client.get_load_state(names[0])["state"] == LoadState.Loaded

    wait_for(is_loaded, f"release {version} is in Milvus", START_S)
    return names[0]
