"""What tests ask Milvus."""

from __future__ import annotations

from pymilvus import MilvusClient, MilvusException
from pymilvus.client.types import LoadState

from tools.processes import START_TIMEOUT_S, wait_for


def settings_for(uri: str) -> dict[str, str]:
    """What makes a recommender search in Milvus, and wait for it: Milvus Lite is slow, above all on a busy machine."""
    return {"ANN": "milvus", "MILVUS_URI": uri, "PREDICT_TIMEOUT_MS": "20000"}


def connected(uri: str) -> MilvusClient:
    """A client, once Milvus answers."""
    clients: list[MilvusClient] = []

    def answers() -> bool:
        try:
            clients.append(MilvusClient(uri, timeout=10))
        except MilvusException:
            return False
        return True

    wait_for(answers, f"{uri} answers", START_TIMEOUT_S)
    return clients[0]


def wait_until_loaded(client: MilvusClient, version: int) -> str:
    """Return the name of the release's collection once it is there and in memory."""
    names: list[str] = []

    def is_loaded() -> bool:
        begin = f"movies_{version}_"
        names[:] = [name for name in client.list_collections() if name.startswith(begin) and "_loading_" not in name]
        return bool(names) and client.get_load_state(names[0])["state"] == LoadState.Loaded

    wait_for(is_loaded, f"release {version} is in Milvus", START_TIMEOUT_S)
    return names[0]
