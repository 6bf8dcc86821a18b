"""How well the recommender keeps a short deadline while the model server hangs.

    make train && python -m benchmarks.deadlines

Each call has 50 ms and asks for a user whose embedding is not in the cache. The model server has been stopped by
SIGSTOP. A call ends with an answer made from the movies that the user liked, or with DEADLINE_EXCEEDED.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import grpc
import numpy as np

from benchmarks.support import newest_release, running_recommender
from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub

CALLS, DEADLINE_S = 300, 0.05


def main(argv: Sequence[str]) -> None:
    artifacts, release = newest_release(argv, __doc__)
    user_ids = np.load(release / "user_ids.npy")[1 : CALLS + 1].tolist()
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_recommender(artifacts, Path(scratch), PREDICT_TIMEOUT_MS="60000") as (models, address),
        grpc.insecure_channel(address) as channel,
    ):
        stub = RecommenderServiceStub(channel)
        stub.Recommend(api.RecommendRequest(user_id=1), timeout=10)
        models.send(signal.SIGSTOP)
        milliseconds, outcomes = [], Counter[str]()
        for user_id in user_ids:
            start = time.perf_counter()
            outcomes[_outcome(stub, user_id)] += 1
            milliseconds.append((time.perf_counter() - start) * 1e3)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    p50, p99 = np.percentile(milliseconds, [50, 99])
    latencies = f"p50 {p50:.1f} ms, p99 {p99:.1f}, longest {max(milliseconds):.1f}"
    print(f"{len(user_ids)} calls with 50 ms: {counts}; {latencies}")


def _outcome(stub: RecommenderServiceStub, user_id: int) -> str:
    """The source of the answer, or the name of the status code."""
    try:
        return api.Source.Name(stub.Recommend(api.RecommendRequest(user_id=user_id), timeout=DEADLINE_S).source)
    except grpc.RpcError as error:
        return str(error.code().name) if isinstance(error, grpc.Call) else "UNKNOWN"


if __name__ == "__main__":
    main(sys.argv[1:])
