"""An event store on a small disk: `unshare --mount … -m tests.support.full_event_store FOLDER` prints what happens.

The disk is mounted in this process's own namespace, so it is gone at the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import grpc

from events.store import EventStore
from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids
from tests.support.errors import Failure, failure_of
from tests.support.events import HIDDEN, WATCHED, event, record
from tests.support.releases import EVEN_USER, UNKNOWN_USER, publish_checkerboard
from tools.processes import wait_for
from tools.servers import model_server, recommender, wait_until_serving

DISK_BYTES = 2 << 20


def main(folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", disk], check=True)
    publish_checkerboard(folder)
    url = f"sqlite:///{disk / 'events.db'}"
    with (
        model_server(folder, folder / "model_server.log") as (_, models),
        recommender(folder, models, folder / "recommender.log", EVENTS_URL=url) as (server, service),
        grpc.insecure_channel(service) as channel,
    ):
        wait_until_serving(service)
        stub = RecommenderServiceStub(channel)
        record(stub, event(EVEN_USER, 4, HIDDEN))
        ballast = disk / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        recorded, failure = _fill(stub)

        def answer() -> tuple[str, int]:
            response = stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=3), timeout=60)
            return response.degraded_reason, movie_ids(response)[0]

        # On a busy machine it may say for a moment that recent events may be missing.
        wait_for(lambda: answer()[0] == "", "an answer is complete while the disk is full")
        while_full = answer()
        ballast.unlink()

        def has_room() -> bool:
            with suppress(grpc.RpcError):
                return record(stub, event(EVEN_USER, 6, HIDDEN)).recorded == 1
            return False

        wait_for(has_room, "events are recorded again")
        store = EventStore(url)
        seen = {
            "failure": [failure.code, failure.reason],
            "message": failure.message,
            "while full": while_full,
            "with room": answer()[1],
            "lost": recorded + 2 - len(store.read(0, store.last_number())),
            "bugs": server.events("bug"),
        }
        print(json.dumps(seen))


def _fill(stub: RecommenderServiceStub) -> tuple[int, Failure]:
    """Record events until that fails. Returns how many were recorded, and the failure.

    SQLite has room for some in its own files.
    """
    recorded = 0
    while True:
        try:
            failure = failure_of(lambda: record(stub, *(event(UNKNOWN_USER, m, WATCHED) for m in range(100))))
        except AssertionError:
            recorded += 100
        else:
            return recorded, failure


if __name__ == "__main__":
    main(Path(sys.argv[1]))
