"""CPU of the model server per newcomer folded in, alone and 32 in one Predict, against the same steps in numpy.

    python -m benchmarks.fold_in

8,452 movies of 256 dimensions (random ones: the time does not depend on them), five liked movies each, through the
stand-in model server over gRPC. Rounds in turn; medians of CPU time (user + system) and their ratios.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.support import cpu_seconds
from protos.tfserving.v1 import predict_pb2 as pb
from tools.processes import model_server
from trainer.model.fold_in import STEPS, newcomer_factor
from trainer.model.user_tower import UserTower, save_user_tower
from trainer.model.vectors import unit_rows

NUM_MOVIES, DIM, LIKES, TEMPERATURE = 8_452, 256, 5, 0.12
ROUNDS = 5
CALLS = {1: 100, 32: 20}


def main() -> None:
    rng = np.random.default_rng(0)
    movies, users = (unit_rows(rng.normal(size=(n, DIM)).astype(np.float32)) for n in (NUM_MOVIES, 10))
    movie_ids, user_ids = np.arange(1, NUM_MOVIES + 1), np.arange(1, 11)
    liked = {batch: rng.integers(1, NUM_MOVIES + 1, (batch, LIKES)) for batch in CALLS}
    milliseconds: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        artifacts = Path(scratch)
        folder = artifacts / "models" / "user_embedding" / "1"
        tower = UserTower(user_ids, users, movie_ids, movies, TEMPERATURE)
        save_user_tower(tower, "user_embedding", folder, user_ids, list(liked[32]))
        with model_server(artifacts, artifacts / "log") as (server, address), grpc.insecure_channel(address) as channel:
            predict: Any = channel.unary_unary(
                "/tensorflow.serving.PredictionService/Predict", request_serializer=pb.PredictRequest.SerializeToString
            )
            requests = {batch: _request(ids) for batch, ids in liked.items()}
            for _ in range(ROUNDS):
                for batch, calls in CALLS.items():
                    before = cpu_seconds(server.process.pid)
                    for _ in range(calls):
                        predict(requests[batch], timeout=30)
                    used = cpu_seconds(server.process.pid) - before
                    milliseconds.setdefault(("Predict", batch), []).append(used / calls / batch * 1e3)
                    used = _time(partial(_fold_in, movies, liked[batch]), calls)
                    milliseconds.setdefault(("numpy", batch), []).append(used / calls / batch * 1e3)
    print(f"{'CPU per newcomer, ' + str(STEPS) + ' steps':<28}{'Predict ms':>11}{'numpy ms':>10}{'ratio':>7}")
    for batch in CALLS:
        ours, reference = (statistics.median(milliseconds[name, batch]) for name in ("Predict", "numpy"))
        print(f"{f'{batch} in one Predict':<28}{ours:>11.2f}{reference:>10.2f}{ours / reference:>7.2f}")


def _fold_in(movies: np.ndarray, movie_ids: np.ndarray) -> np.ndarray:
    mean = movies[movie_ids - 1].mean(axis=1)
    user, temperature = unit_rows(mean), TEMPERATURE * newcomer_factor(LIKES)
    for _ in range(STEPS):
        weights = np.exp(user @ movies.T / temperature)
        user = unit_rows(user + mean - weights @ movies / weights.sum(axis=1, keepdims=True))
    return user


def _time(call: Callable[[], object], times: int) -> float:
    before = time.process_time()
    for _ in range(times):
        call()
    return time.process_time() - before


def _request(movie_ids: np.ndarray) -> pb.PredictRequest:
    shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in movie_ids.shape])
    tensor = pb.TensorProto(dtype=pb.DATA_TYPE_INT64, tensor_shape=shape, tensor_content=movie_ids.tobytes())
    spec = pb.ModelSpec(name="user_embedding", signature_name="fold_in")
    return pb.PredictRequest(model_spec=spec, inputs={"movie_id": tensor})


if __name__ == "__main__":
    main()
