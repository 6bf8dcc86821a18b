"""A stack on a small disk: `unshare --mount … -m tests.support.full_disk FOLDER` prints what happens to it as JSON.

The disk is first full and then read-only. It is mounted in this process's own namespace, so it is gone at the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids
from tests.support.folders import folder_with
from tests.support.releases import EVEN_USER, publish_checkerboard
from tools.servers import model_server, recommender, wait_until_serving

DISK_BYTES = 4 << 20


def main(folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir()
    ratings = "userId,movieId,rating,timestamp\n"
    ratings += "".join(f"{u},{m},{5 if (u + m) % 2 else 1},{m}\n" for u in range(1, 21) for m in range(1, 21))
    movies = "movieId,title,genres\n" + "".join(f"{m},Movie {m} (2000),Drama\n" for m in range(1, 21))
    folder_with(folder, ratings, movies)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", disk], check=True)
    publish_checkerboard(disk)
    with (
        model_server(disk, folder / "model_server.log") as (_, address),
        recommender(disk, address, folder / "recommender.log", USER_CACHE_SIZE="0") as (server, service),
        grpc.insecure_channel(service) as channel,
    ):
        wait_until_serving(service)
        stub = RecommenderServiceStub(channel)

        def answer() -> list[int]:
            return movie_ids(stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=3), timeout=60))

        print(
            json.dumps(
                {
                    "full": _full(folder, disk, answer),
                    "read-only": _read_only(folder, disk, answer),
                    "problems": [*server.events("bug"), *server.events("release refused")],
                }
            )
        )


def _full(folder: Path, disk: Path, answer: Callable[[], list[int]]) -> dict[str, object]:
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
        while ballast.write(b"x" * 4096):
            pass
    return {**_train(folder, disk), "left": sorted(path.name for path in disk.glob("*/[!u]*")), "answer": answer()}


def _read_only(folder: Path, disk: Path, answer: Callable[[], list[int]]) -> dict[str, object]:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    return {**_train(folder, disk), "answer": answer()}


def _train(folder: Path, disk: Path) -> dict[str, object]:
    flags = ["--data", str(folder), "--artifacts", str(disk), "--epochs", "1", "--force", "--embedding-dim", "4"]
    run = subprocess.run([sys.executable, "-m", "trainer", *flags], capture_output=True, text=True)
    return {"status": run.returncode, "last line": run.stderr.splitlines()[-1]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
