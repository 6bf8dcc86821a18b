"""CPU that the model server uses to fold in a newcomer, alone and 32 in one Predict, versus the same steps in numpy.

    python -m benchmarks.fold_in

The model has 8,452 movies of 256 dimensions with random embeddings, whose values do not change the time. Each newcomer
likes five movies. The stand-in answers over gRPC. The two sides take turns, round by round; the table shows medians of
user and system time per newcomer, and their ratio.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.support import cpu_per_call, predict_calls, predict_request
from protos.release.v1.layout import MODEL_NAME
from tools.servers import model_server
from trainer.model.fold_in import STEPS, newcomer_factor
from trainer.model.parts import Parts
from trainer.model.user_tower import UserTower, save_user_tower
from trainer.model.vectors import unit_rows
from trainer.release.catalogue import models_folder

NUM_MOVIES, DIM, LIKES, TEMPERATURE = 8_452, 256, 5, 0.12
ROUNDS = 5
CALLS = {1: 100, 32: 20}  # newcomers in one call → calls per round


def main() -> None:
    rng = np.random.default_rng(0)
    movies = unit_rows(rng.normal(size=(NUM_MOVIES, DIM)).astype(np.float32))
    users = unit_rows(rng.normal(size=(10, DIM)).astype(np.float32))
    user_ids, movie_ids = np.arange(1, len(users) + 1), np.arange(1, NUM_MOVIES + 1)
    liked = {batch: rng.integers(1, NUM_MOVIES + 1, (batch, LIKES)) for batch in CALLS}
    milliseconds: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        artifacts = Path(scratch)
        tower = UserTower(user_ids, users, movie_ids, TEMPERATURE, Parts.of_tastes(movies))
        save_user_tower(tower, MODEL_NAME, models_folder(artifacts) / "1", user_ids, list(liked[32]))
        with model_server(artifacts, artifacts / "log") as (server, address), predict_calls(address) as predict:
            for _ in range(ROUNDS):
                for batch, calls in CALLS.items():
                    request = predict_request("fold_in", "movie_id", liked[batch])
                    seconds = cpu_per_call(server, partial(predict, request, timeout=30), calls)
                    milliseconds.setdefault(("Predict", batch), []).append(seconds / batch * 1e3)
                    seconds = _own_cpu_per_call(partial(_fold_in, movies, liked[batch]), calls)
                    milliseconds.setdefault(("numpy", batch), []).append(seconds / batch * 1e3)
    print(f"{f'CPU per newcomer, {STEPS} steps':<28}{'Predict ms':>11}{'numpy ms':>10}{'ratio':>7}")
    for batch in CALLS:
        ours, reference = (statistics.median(milliseconds[name, batch]) for name in ("Predict", "numpy"))
        print(f"{f'{batch} in one Predict':<28}{ours:>11.2f}{reference:>10.2f}{ours / reference:>7.2f}")


def _fold_in(movies: np.ndarray, movie_ids: np.ndarray) -> np.ndarray:
    """float32[batch, DIM], by the same steps of projected gradient as the model's.  movie_ids: int64[batch, LIKES]."""
    mean = movies[movie_ids - 1].mean(axis=1)
    user, temperature = unit_rows(mean), TEMPERATURE * newcomer_factor(LIKES)
    for _ in range(STEPS):
        weights = np.exp(user @ movies.T / temperature)
        user = unit_rows(user + mean - weights @ movies / weights.sum(axis=1, keepdims=True))
    return user


def _own_cpu_per_call(call: Callable[[], object], calls: int) -> float:
    """Seconds of CPU that this process uses per call."""
    before = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - before) / calls


if __name__ == "__main__":
    main()
