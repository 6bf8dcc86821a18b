"""What a release takes in Milvus versus in memory: `python -m benchmarks.milvus ARTIFACTS`.

ARTIFACTS is a folder with a release. Milvus is milvus-lite, in a process of its own: that tells what the recommender's
side costs, and nothing about a cluster. Linux only. The recommender has one core to itself; all others share the other.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import grpc

from benchmarks.loads import Load, Target, measure
from benchmarks.releases import newest
from benchmarks.support import LOAD_CORE, SERVER_CORE, memory_mb, on_cores, published, sealed_bytes
from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tools.processes import wait_for
from tools.servers import free_port, milvus_lite, milvus_loader, model_server, recommender, wait_until_serving

RECOMMEND = "/recommender.v1.RecommenderService/Recommend"
USERS, CALLS, IN_FLIGHT, ROUNDS = 200, 400, 8, 3
LOADING_S = 3_600.0


def main(argv: Sequence[str]) -> None:
    if len(argv) != 1 or not published(artifacts := Path(argv[0]).resolve()):
        sys.exit(__doc__)
    release = newest(artifacts)
    users = release.watched.user_ids[release.watched.has_likes].tolist()[:USERS]
    print(f"{len(release.movies):,} movies, {release.manifest.embedding_dim} dimensions")
    del release
    with ExitStack() as stack:
        stack.enter_context(on_cores(LOAD_CORE))
        logs, port = Path(stack.enter_context(tempfile.TemporaryDirectory())), free_port()
        uri = f"http://127.0.0.1:{port}"
        milvus = stack.enter_context(milvus_lite(logs / "lite", port))
        start = time.monotonic()
        with milvus_loader(artifacts, uri, logs / "loader.log") as loader:
            wait_for(lambda: "alias swapped" in loader.text(), "the release is loaded", LOADING_S)
        on_disk = sum(file.stat().st_size for file in (logs / "lite").rglob("*") if file.is_file())
        memory = memory_mb(milvus.process.pid)["Rss"]
        took = f"{time.monotonic() - start:.0f} s, {on_disk / 1e6:.0f} MB on disk, {memory:.0f} MB of memory"
        print(f"  milvus-lite has loaded it: {took}")
        _, models = stack.enter_context(model_server(artifacts, logs / "models.log"))
        exact = _measure("annoy", artifacts, models, logs, users, {})
        found = _measure("milvus", artifacts, models, logs, users, {"ANN": "milvus", "MILVUS_URI": uri})
        shares = [len(set(ids) & set(found[user])) / len(ids) for user, ids in exact.items()]
        print(f"  of the ten nearest, Milvus finds {statistics.mean(shares):.3f}")


def _measure(
    ann: str, artifacts: Path, models: str, logs: Path, users: Sequence[int], settings: dict[str, str]
) -> dict[int, list[int]]:
    """Print what a recommender takes, and return the movies of each user: with Annoy exactly the nearest ones."""
    with ExitStack() as stack:
        with on_cores(SERVER_CORE):
            starting = recommender(artifacts, models, logs / f"{ann}.log", **settings)
            server, address = stack.enter_context(starting)
        wait_until_serving(address)
        pid = server.process.pid
        memory = memory_mb(pid)["Pss_Anon"] + sealed_bytes([pid]) / 1e6
        answers = {}
        with grpc.insecure_channel(address) as channel:
            stub = RecommenderServiceStub(channel)
            for user in users:
                request = api.RecommendRequest(user_id=user, limit=10)
                if ann == "annoy":
                    request.page_token = ""  # pages are ranked exactly
                answers[user] = [scored.movie.movie_id for scored in stub.Recommend(request).movies]
        requests = [api.RecommendRequest(user_id=user, limit=10).SerializeToString() for user in users]
        print(f"  ANN={ann}: {memory:.0f} MB")
        for in_flight in (1, IN_FLIGHT):
            load = Load(RECOMMEND, requests, CALLS, in_flight)
            costs = [measure(Target(server, address), load) for _ in range(ROUNDS)]
            cpu, p50 = (statistics.median(getattr(cost, name) for cost in costs) for name in ("cpu", "p50"))
            print(f"    {in_flight} in flight: {cpu:.0f} µs of CPU for a call, p50 {p50 / 1000:.1f} ms")
    return answers


if __name__ == "__main__":
    main(sys.argv[1:])
