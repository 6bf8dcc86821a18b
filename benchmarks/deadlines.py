"""How well a short deadline is kept while the model server hangs.

    make train && python -m benchmarks.deadlines

Each call has 50 ms and asks for a user who is not in the cache; the model server is stopped (SIGSTOP) for good. A call
ends with an answer from what the user liked, or with DEADLINE_EXCEEDED.
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

from benchmarks.support import newest_release
from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tools.processes import model_server, recommender, wait_until_serving

CALLS, DEADLINE_S = 300, 0.05


def main(argv: Sequence[str]) -> None:
    artifacts, release = newest_release(argv, __doc__)
    user_ids = np.load(release / "user_ids.npy")[1 : CALLS + 1].tolist()
    with (
        tempfile.TemporaryDirectory() as scratch,
        model_server(artifacts, Path(scratch) / "model_server.log") as (models, models_address),
        recommender(artifacts, models_address, Path(scratch) / "log", PREDICT_TIMEOUT_MS="60000") as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        stub = RecommenderServiceStub(channel)
        stub.Recommend(api.RecommendRequest(user_id=1), timeout=10)
        models.send(signal.SIGSTOP)
        milliseconds, outcomes = [], Counter[str]()
        for user_id in user_ids:
            start = time.perf_counter()
            outcomes[_outcome(stub, user_id)] += 1
            milliseconds.append((time.perf_counter() - start) * 1e3)
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    p50, p99 = np.percentile(milliseconds, [50, 99])
    print(f"{len(user_ids)} calls with 50 ms: {told}; p50 {p50:.1f} ms, p99 {p99:.1f}, longest {max(milliseconds):.1f}")


def _outcome(stub: RecommenderServiceStub, user_id: int) -> str:
    try:
        return api.Source.Name(stub.Recommend(api.RecommendRequest(user_id=user_id), timeout=DEADLINE_S).source)
    except grpc.RpcError as error:
        return str(error.code().name) if isinstance(error, grpc.Call) else "UNKNOWN"


if __name__ == "__main__":
    main(sys.argv[1:])
