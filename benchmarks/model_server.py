"""The stand-in: CPU per Predict against a plain servicer's, 32 ids against one, start-up, the first calls after a load.

    make train && python -m benchmarks.model_server

The plain servicer answers from the same SavedModel, with `tf.make_ndarray` and `tf.make_tensor_proto`. CPU is user and
system time of the server's process, rounds in turn, medians. One caller. The first calls after a load are timed by
their caller's clock: it asks the version before all the time (a call after a pause costs more, whatever is asked), and
then the new one.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.support import cpu_seconds, newest_release
from protos.tfserving.v1 import predict_pb2 as pb
from tools.processes import Server, served

ROUNDS, CALLS, LOADS, CALLS_AFTER_LOAD = 5, 2_000, 7, 10
PREDICT = "/tensorflow.serving.PredictionService/Predict"
LISTENING = r"Running gRPC ModelServer at (\S+) \.\.\."
PLAIN = """
import sys, grpc
from concurrent import futures
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
run = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
class Plain(prediction_service_pb2_grpc.PredictionServiceServicer):
    def Predict(self, request, context):
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, value in run(**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response
server = grpc.server(futures.ThreadPoolExecutor(8))
prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Plain(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print("Running gRPC ModelServer at 127.0.0.1:%d ..." % port, flush=True)
server.wait_for_termination()
"""


def main(argv: Sequence[str]) -> None:
    artifacts, release = newest_release(argv, __doc__)
    model = artifacts / "models" / "user_embedding" / release.name
    user_ids = np.load(release / "user_ids.npy")
    one, many = _look_up(user_ids[:1]), _look_up(np.resize(user_ids, 32))
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        logs = Path(scratch)
        starts = [_seconds_to_serving(model.parent, logs) for _ in range(3)]
        stand_in = stack.enter_context(_stand_in(model.parent, logs / "stand_in.log"))
        plain = stack.enter_context(served([sys.executable, "-c", PLAIN, str(model)], logs / "plain.log", {}))
        cases = {
            "stand-in, one id": (stand_in, one),
            "stand-in, 32 ids": (stand_in, many),
            "plain servicer, one id": (plain, one),
        }
        microseconds: dict[str, list[float]] = {name: [] for name in cases}
        for round_ in range(ROUNDS + 1):
            for name, (server, request) in cases.items():
                used = _cpu_per_call(server, request)
                if round_:  # the first is for warming up
                    microseconds[name].append(used * 1e6)
    median = {name: statistics.median(values) for name, values in microseconds.items()}
    print(f"{'CPU per Predict, one caller':<40}{'µs':>8}{'÷ one id':>10}")
    for name, value in median.items():
        print(f"{name:<40}{value:>8.0f}{value / median['stand-in, one id']:>10.2f}")
    print(f"\nstart to serving: {statistics.median(starts):.1f} s")
    print(f"\n{'calls after a load':<40}{'first ms':>9}{'tenth ms':>9}{'ratio':>7}")
    for name, (first, tenth) in _after_a_load(model, release).items():
        print(f"{name:<40}{first:>9.2f}{tenth:>9.2f}{first / tenth:>7.1f}")


@contextmanager
def _stand_in(base_path: Path, log: Path, *flags: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "serving", "--port=0", "--model_name=user_embedding", *flags]
    with served([*command, f"--model_base_path={base_path}"], log, {}) as server:
        server.wait_for_line(LISTENING)
        yield server


def _seconds_to_serving(base_path: Path, logs: Path) -> float:
    started = time.perf_counter()
    with _stand_in(base_path, logs / "start.log"):
        return time.perf_counter() - started


def _cpu_per_call(server: Server, request: pb.PredictRequest) -> float:
    with _predict(server) as predict:
        before = cpu_seconds(server.process.pid)
        for _ in range(CALLS):
            predict(request, timeout=30)
        return (cpu_seconds(server.process.pid) - before) / CALLS


def _after_a_load(model: Path, release: Path) -> dict[str, tuple[float, float]]:
    """What is asked → (milliseconds of the first call, of the tenth): medians over new versions."""
    user_id = np.load(release / "user_ids.npy")[:1]
    likes = np.loadtxt(release / "movies.csv", delimiter=",", skiprows=1, usecols=0, max_rows=20, dtype=np.int64)
    requests = {"look-up of one id": _look_up(user_id), "fold-in of 20 likes": _fold_in(likes[None, :])}
    seconds: dict[str, list[list[float]]] = {}
    for how, flag in (("warmed up", "--enable_model_warmup=true"), ("not warmed up", "--enable_model_warmup=false")):
        with tempfile.TemporaryDirectory() as scratch:
            base, config = Path(scratch) / "models", Path(scratch) / "models.config"
            shutil.copytree(model, base / "1")
            config.write_text(
                f'model_config_list {{ config {{ name: "user_embedding" base_path: "{base}" '
                'model_platform: "tensorflow" model_version_policy { latest { num_versions: 2 } } } }'
            )
            flags = (f"--model_config_file={config}", "--file_system_poll_wait_seconds=0.1", flag)
            with _stand_in(base, Path(scratch) / "log", *flags) as server, _predict(server) as predict:
                for version in range(2, LOADS + 2):
                    for request in requests.values():
                        request.model_spec.version.value = version - 1
                    shutil.copytree(model, base / "staging").rename(base / str(version))
                    while f"user_embedding version: {version}}}" not in server.text():
                        for request in requests.values():
                            _first_calls(predict, request)
                    for name, request in requests.items():
                        request.model_spec.version.value = version
                        seconds.setdefault(f"{name}, {how}", []).append(_first_calls(predict, request))
    columns = {name: list(zip(*calls, strict=True)) for name, calls in seconds.items()}
    return {name: (statistics.median(c[0]) * 1e3, statistics.median(c[-1]) * 1e3) for name, c in columns.items()}


def _first_calls(predict: Any, request: pb.PredictRequest) -> list[float]:
    """Seconds each."""
    seconds = []
    for _ in range(CALLS_AFTER_LOAD):
        started = time.perf_counter()
        predict(request, timeout=30)
        seconds.append(time.perf_counter() - started)
    return seconds


@contextmanager
def _predict(server: Server) -> Iterator[Any]:
    """Of a channel that is connected, so that no call pays for that."""
    with grpc.insecure_channel(server.wait_for_line(LISTENING)[1]) as channel:
        grpc.channel_ready_future(channel).result(timeout=30)
        yield channel.unary_unary(PREDICT, request_serializer=pb.PredictRequest.SerializeToString)


def _look_up(user_ids: np.ndarray) -> pb.PredictRequest:
    return _request("serving_default", "user_id", user_ids)


def _fold_in(movie_ids: np.ndarray) -> pb.PredictRequest:
    return _request("fold_in", "movie_id", movie_ids)


def _request(signature: str, input_name: str, ids: np.ndarray) -> pb.PredictRequest:
    spec = pb.ModelSpec(name="user_embedding", signature_name=signature)
    shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in ids.shape])
    tensor = pb.TensorProto(dtype=pb.DATA_TYPE_INT64, tensor_shape=shape, int64_val=ids.ravel().tolist())
    return pb.PredictRequest(model_spec=spec, inputs={input_name: tensor})


if __name__ == "__main__":
    main(sys.argv[1:])
