"""How well `python -m tools.capacity` predicts what a recommender uses.

    python -m benchmarks.capacity ARTIFACTS …

Each argument is an artifacts folder with a release. Linux only. The recommender has one core to itself; its callers and
the model server have another.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.loads import Load, Target, measure
from benchmarks.releases import newest
from benchmarks.support import LOAD_CORE, SERVER_CORE, memory_mb, on_cores, published, sealed_bytes
from protos.recommender.v1 import recommender_pb2 as api
from tools.capacity import PROCESS_BYTES, Demand, call_us, release_bytes
from tools.servers import model_server, recommender, wait_until_serving

RECOMMEND = "/recommender.v1.RecommenderService/Recommend"
CALLS, IN_FLIGHT, ROUNDS = 2_000, 32, 5


def main(argv: Sequence[str]) -> None:
    if not argv:
        sys.exit(__doc__)
    for artifacts in map(Path, argv):
        _compare(artifacts.resolve())


def _compare(artifacts: Path) -> None:
    """Print predictions beside measurements for the newest release in the folder."""
    if not published(artifacts):
        sys.exit(f"error: no release in {artifacts}")
    release = newest(artifacts)
    user_ids = release.watched.user_ids[release.watched.has_likes].tolist()
    num_users, num_ratings = len(release.watched.user_ids), int(release.watched.indptr[-1])
    demand = Demand(
        num_users, 1, len(release.movie_ids), release.movie_embeddings.vectors.shape[1], num_ratings // num_users
    )
    print(f"{demand.movies:,} movies, {demand.dimensions} dimensions, {demand.users:,} users")
    requests = [api.RecommendRequest(user_id=user_id, limit=10).SerializeToString() for user_id in user_ids]
    load = Load(RECOMMEND, requests, CALLS, IN_FLIGHT)
    for cache, missing in ((len(user_ids), 0.0), (0, 1.0)):
        cpu_us, mb = _measure(artifacts, load, cache)
        name = "without the cache" if missing else "from the cache"
        _print(f"CPU of a Recommend {name}, µs", call_us(demand, missing), cpu_us)
    _print("memory, MB", (PROCESS_BYTES + release_bytes(demand)) / 1e6, mb)


def _print(what: str, predicted: float, measured: float) -> None:
    print(f"  {what}: predicted {predicted:,.0f}, measured {measured:,.0f}, ratio {predicted / measured:.2f}")


def _measure(artifacts: Path, load: Load, cache: int) -> tuple[float, float]:
    """(median µs of CPU per call, MB of memory) of a recommender with room for so many users in its cache."""
    with ExitStack() as stack:
        stack.enter_context(on_cores(LOAD_CORE))
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _, models = stack.enter_context(model_server(artifacts, logs / "models.log"))
        with on_cores(SERVER_CORE):
            starting = recommender(artifacts, models, logs / "recommender.log", USER_CACHE_SIZE=str(cache))
            server, address = stack.enter_context(starting)
        wait_until_serving(address)
        pid = server.process.pid
        memory = memory_mb(pid)["Pss_Anon"] + sealed_bytes([pid]) / 1e6
        costs = [measure(Target(server, address), load).cpu for _ in range(ROUNDS + 1)]
    return statistics.median(costs[1:]), memory


if __name__ == "__main__":
    main(sys.argv[1:])
