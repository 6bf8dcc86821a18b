"""What several benchmarks share: the newest release, cores, a running recommender, Predict calls, CPU time."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from protos.release.v1.layout import MODEL_NAME
from protos.tfserving.v1 import predict_pb2 as pb
from tools.processes import Server
from tools.servers import model_server, recommender, wait_until_serving

# The core of the server that is measured, and the core of the load and of everything else. On shared cores, switches
# between the two would cost more than what is measured. They are the same if this process may use one core only.
SERVER_CORE, LOAD_CORE = {max(os.sched_getaffinity(0))}, {min(os.sched_getaffinity(0))}

SERVICE = "/recommender.v1.RecommenderService/"


@contextmanager
def on_cores(wanted: set[int]) -> Iterator[None]:
    """This process, and the child processes that the block starts, run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def newest_release(argv: Sequence[str], description: str | None) -> tuple[Path, Path]:
    """(artifacts, folder of the newest release in it) for the command line `[--artifacts DIR]`.

    Ends the process with one line if there is no release.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    artifacts: Path = parser.parse_args(argv).artifacts.resolve()
    releases = published(artifacts)
    if not releases:
        sys.exit(f"error: no release in {artifacts}: run `make train` first")
    return artifacts, releases[-1]


def published(artifacts: Path) -> list[Path]:
    """The folders of the complete releases in `artifacts`, newest last."""
    return sorted(path.parent for path in artifacts.glob("releases/[0-9]*/manifest.json"))


@contextmanager
def running_recommender(artifacts: Path, logs: Path, **settings: str) -> Iterator[tuple[Server, str]]:
    """(model server, host:port of the recommender), once it is SERVING.  settings: environment of the recommender."""
    with (
        model_server(artifacts, logs / "model_server.log") as (models, models_address),
        recommender(artifacts, models_address, logs / "recommender.log", **settings) as (_, address),
    ):
        wait_until_serving(address)
        yield models, address


@contextmanager
def predict_calls(address: str) -> Iterator[Callable[..., Any]]:
    """Predict of the model server at that address, on a channel that is connected before the first call."""
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=30)
        yield channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=pb.PredictRequest.SerializeToString,
        )


def predict_request(signature: str, input_name: str, ids: np.ndarray) -> pb.PredictRequest:
    """A request to our model, without a version.  ids: int64 of any shape."""
    spec = pb.ModelSpec(name=MODEL_NAME, signature_name=signature)
    shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in ids.shape])
    tensor = pb.TensorProto(dtype=pb.DATA_TYPE_INT64, tensor_shape=shape, tensor_content=ids.tobytes())
    return pb.PredictRequest(model_spec=spec, inputs={input_name: tensor})


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far, with all its threads.  Linux only."""
    return time.clock_gettime(~pid << 3 | 2)  # the clock of another process, as clock_getcpuclockid(3) numbers it


def memory_mb(pid: int) -> dict[str, float]:
    """Megabytes of memory by the kernel's names: Rss, Pss, Pss_Anon, Private_Dirty and others.  Linux only."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines}


def child_pids(pid: int) -> list[int]:
    """Process ids of the children, such as a supervisor's workers.  Linux only."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def sealed_bytes(pids: Sequence[int]) -> int:
    """Size of the files in memory that the processes have open, each counted once."""
    sizes = {}
    for link in (link for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir()):
        with suppress(FileNotFoundError):  # it has been closed meanwhile
            if str(link.readlink()).startswith("/memfd:"):
                sizes[link.stat().st_ino] = link.stat().st_size
    return sum(sizes.values())


def cpu_per_call(server: Server, call: Callable[[], object], calls: int) -> float:
    """Seconds of CPU that the server uses per call, over so many calls one after the other."""
    before = cpu_seconds(server.process.pid)
    for _ in range(calls):
        call()
    return (cpu_seconds(server.process.pid) - before) / calls
