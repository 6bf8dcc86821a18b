"""The stand-in: CPU per Predict versus a plain servicer's, seconds to start, and the first calls after a load.

    make train && python -m benchmarks.model_server

Both servers answer from the same SavedModel, to one caller, and take turns, round by round. The first table shows
medians of user and system time per call. The last table shows latencies: a caller asks the old version without a pause
while a new one loads, because calls after a pause are slower, and then makes ten calls of the new version.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support import cpu_per_call, newest_release, predict_calls, predict_request
from protos.release.v1.layout import MODEL_NAME
from protos.tfserving.v1 import predict_pb2 as pb
from tools.processes import Server, served
from tools.servers import model_server
from trainer.release.catalogue import models_folder

ROUNDS, CALLS, STARTS, LOADS, CALLS_AFTER_LOAD = 5, 2_000, 3, 7, 10


def main(argv: Sequence[str]) -> None:
    artifacts, release = newest_release(argv, __doc__)
    model = models_folder(artifacts) / release.name
    user_ids = np.load(release / "user_ids.npy")
    likes = np.loadtxt(release / "movies.csv", delimiter=",", skiprows=1, usecols=0, max_rows=20, dtype=np.int64)
    with tempfile.TemporaryDirectory() as scratch:
        only_model = Path(scratch)
        shutil.copytree(model, models_folder(only_model) / "1")
        starts = [_seconds_to_start(only_model) for _ in range(STARTS)]
        microseconds = _cpu(only_model, user_ids)
    print(f"{'CPU per Predict, one caller':<40}{'µs':>8}{'÷ one id':>10}")
    for name, value in microseconds.items():
        print(f"{name:<40}{value:>8.0f}{value / microseconds['stand-in, one id']:>10.2f}")
    print(f"\nstart to serving: {statistics.median(starts):.1f} s")
    print(f"\n{'calls after a load':<40}{'first ms':>9}{'tenth ms':>9}{'ratio':>7}")
    requests = {
        "look-up of one id": predict_request("serving_default", "user_id", user_ids[:1]),
        "fold-in of 20 likes": predict_request("fold_in", "movie_id", likes[None, :]),
    }
    for how in ("warmed up", "not warmed up"):
        for name, (first, tenth) in _after_loads(model, requests, warm_up=how == "warmed up").items():
            print(f"{f'{name}, {how}':<40}{first:>9.2f}{tenth:>9.2f}{first / tenth:>7.1f}")


def _seconds_to_start(artifacts: Path) -> float:
    started = time.perf_counter()
    with model_server(artifacts, artifacts / "start.log"):
        return time.perf_counter() - started


def _cpu(artifacts: Path, user_ids: np.ndarray) -> dict[str, float]:
    """Case → median of the server's microseconds of CPU per Predict."""
    one, many = (predict_request("serving_default", "user_id", ids) for ids in (user_ids[:1], np.resize(user_ids, 32)))
    folder = str(models_folder(artifacts) / "1")
    command = [sys.executable, "-m", "benchmarks.plain_servicer", folder]
    with ExitStack() as stack:
        stand_in, address = stack.enter_context(model_server(artifacts, artifacts / "stand_in.log"))
        plain = stack.enter_context(served(command, artifacts / "plain.log", {}))
        plain_address = plain.wait_for_line(r"plain servicer at (\S+)")[1]
        ask, ask_plain = (stack.enter_context(predict_calls(to)) for to in (address, plain_address))
        cases: dict[str, tuple[Server, Callable[[], object]]] = {
            "stand-in, one id": (stand_in, partial(ask, one, timeout=30)),
            "stand-in, 32 ids": (stand_in, partial(ask, many, timeout=30)),
            "plain servicer, one id": (plain, partial(ask_plain, one, timeout=30)),
        }
        for server, call in cases.values():
            cpu_per_call(server, call, CALLS)  # warms up
        seconds: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(ROUNDS):
            for name, (server, call) in cases.items():
                seconds[name].append(cpu_per_call(server, call, CALLS))
    return {name: statistics.median(values) * 1e6 for name, values in seconds.items()}


def _after_loads(model: Path, requests: dict[str, pb.PredictRequest], warm_up: bool) -> dict[str, tuple[float, float]]:
    """Request → (milliseconds of the first call, of the tenth): medians over LOADS new versions of the model."""
    seconds: dict[str, list[list[float]]] = {name: [] for name in requests}
    with tempfile.TemporaryDirectory() as scratch:
        artifacts = Path(scratch)
        folder = models_folder(artifacts)
        shutil.copytree(model, folder / "1")
        flags = ("--file_system_poll_wait_seconds=0.1", f"--enable_model_warmup={str(warm_up).lower()}")
        with (
            model_server(artifacts, artifacts / "log", *flags) as (server, address),
            predict_calls(address) as predict,
        ):
            for version in range(2, LOADS + 2):
                _pin(requests, version - 1)
                shutil.copytree(model, folder / "staging").rename(folder / str(version))
                while f"{MODEL_NAME} version: {version}}}" not in server.text():
                    for request in requests.values():
                        _first_calls(predict, request)
                _pin(requests, version)
                for name, request in requests.items():
                    seconds[name].append(_first_calls(predict, request))
    medians = {name: np.median(calls, axis=0) * 1e3 for name, calls in seconds.items()}
    return {name: (float(of_calls[0]), float(of_calls[-1])) for name, of_calls in medians.items()}


def _pin(requests: dict[str, pb.PredictRequest], version: int) -> None:
    for request in requests.values():
        request.model_spec.version.value = version


def _first_calls(predict: Callable[..., Any], request: pb.PredictRequest) -> list[float]:
    """Latencies in seconds of CALLS_AFTER_LOAD calls, one after the other."""
    seconds = []
    for _ in range(CALLS_AFTER_LOAD):
        started = time.perf_counter()
        predict(request, timeout=30)
        seconds.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    main(sys.argv[1:])
