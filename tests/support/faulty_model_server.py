"""A model server that answers wrongly on purpose: `… tests.support.faulty_model_server RELEASE FAULT_FILE HOST:PORT`.

It offers the release's version. Users of the manifest's probes get their embeddings, all others that of the first
probe. It logs each Predict, and its span. Before each call it reads from FAULT_FILE what to do wrong: "version",
"width", "nan", "dtype", "hang", which keeps Predict waiting as long as the file says so, or "garbage", which
answers every call with bytes that are no message. Without that file it does nothing wrong. While the file says "not
serving", so does its health service; calls are still answered.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.protobuf import json_format
from grpc_health.v1 import health_pb2

from protos.release.v1 import manifest_pb2
from protos.tfserving.v1 import predict_pb2 as pb
from tools.processes import Server, served

GARBAGE = b"\xff\xff"
STATUS = health_pb2.HealthCheckResponse
HEALTH = {
    serving: STATUS(status=STATUS.SERVING if serving else STATUS.NOT_SERVING).SerializeToString()
    for serving in (True, False)
}


@contextmanager
def faulty_model_server(
    release: Path, log: Path, listen: str = "127.0.0.1:0", prefix: Sequence[str] = ()
) -> Iterator[tuple[Server, str, Path]]:
    """Yield (server, address, fault file) of a model server that does wrong what the fault file says.

    listen: host:port.  prefix: a command that runs the one after it.
    """
    fault = log.with_suffix(".fault")
    command = [*prefix, sys.executable, "-m", __name__, str(release), str(fault), listen]
    with served(command, log, {}) as server:
        yield server, server.wait_for_line(r"faulty model server at (\S+)")[1], fault


class Faulty:
    """The two RPCs of a model server that a recommender calls."""

    def __init__(self, manifest: manifest_pb2.Manifest, fault_file: Path) -> None:
        self._manifest = manifest
        self._fault_file = fault_file
        self._embeddings = {probe.user_id: list(probe.embedding) for probe in manifest.probes}

    def predict(self, request: pb.PredictRequest, context: grpc.ServicerContext) -> bytes:
        self._check_version(request.model_spec, context)
        fault = self._fault()
        while self._fault() == "hang":
            time.sleep(0.05)
        ((name, tensor),) = request.inputs.items()
        user_ids = np.frombuffer(tensor.tensor_content, np.int64).reshape(tensor.tensor_shape.dim[0].size, -1)[:, 0]
        span = "".join(f" span {value!s}" for key, value in context.invocation_metadata() if key == "traceparent")
        line = f"predict {name} × {len(user_ids)}{span}\n"
        sys.stdout.write(line)  # in one piece: print would let threads mix their lines
        sys.stdout.flush()
        default = self._embeddings[self._manifest.probes[0].user_id]
        width = self._manifest.embedding_dim + (fault == "width")
        values = [x for user_id in user_ids for x in [*self._embeddings.get(int(user_id), default), 0.5][:width]]
        if fault == "nan":
            values[0] = float("nan")
        dims = [pb.TensorShapeProto.Dim(size=size) for size in (len(user_ids), width)]
        answer = pb.TensorProto(
            dtype=pb.DATA_TYPE_INT64 if fault == "dtype" else pb.DATA_TYPE_FLOAT,
            tensor_shape=pb.TensorShapeProto(dim=dims),
            float_val=np.array(values, "<f4").tobytes(),
        )
        version = self._manifest.version - (fault == "version")
        spec = pb.ModelSpec(name=self._manifest.model_name, version=pb.Int64Value(value=version))
        response = pb.PredictResponse(outputs={"user_embedding": answer}, model_spec=spec)
        return GARBAGE if fault == "garbage" else response.SerializeToString()

    def get_model_status(self, request: pb.GetModelStatusRequest, context: grpc.ServicerContext) -> bytes:
        self._check_version(request.model_spec, context)
        available = pb.ModelVersionStatus(version=self._manifest.version, state=pb.ModelVersionStatus.STATE_AVAILABLE)
        response = pb.GetModelStatusResponse(model_version_status=[available])
        return GARBAGE if self._fault() == "garbage" else response.SerializeToString()

    def _check_version(self, spec: pb.ModelSpec, context: grpc.ServicerContext) -> None:
        """Abort a call for a version other than the one on offer."""
        if spec.version.value not in (0, self._manifest.version):
            context.abort(grpc.StatusCode.NOT_FOUND, f"no version {spec.version.value}")

    def watch(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Health.Watch: the status, and again whenever it changes."""
        last = None
        while context.is_active():
            is_serving = self._fault() != "not serving"
            if is_serving != last:
                yield HEALTH[is_serving]
            last = is_serving
            time.sleep(0.05)

    def _fault(self) -> str:
        try:
            return self._fault_file.read_text()
        except FileNotFoundError:
            return ""


def main(release: Path, fault_file: Path, listen: str) -> None:
    """Serve until killed.  listen: host:port; 0 takes a free port, which is printed."""
    manifest = json_format.Parse((release / "manifest.json").read_text(), manifest_pb2.Manifest())
    faulty = Faulty(manifest, fault_file)
    server = grpc.server(futures.ThreadPoolExecutor(16))
    for service, method, behaviour, request in (
        ("PredictionService", "Predict", faulty.predict, pb.PredictRequest),
        ("ModelService", "GetModelStatus", faulty.get_model_status, pb.GetModelStatusRequest),
    ):
        handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(behaviour, request.FromString)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", {method: handler}),)
        )
    watch: grpc.RpcMethodHandler[Any, Any] = grpc.unary_stream_rpc_method_handler(faulty.watch)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Watch": watch}),))
    port = server.add_insecure_port(listen)
    server.start()
    print(f"faulty model server at {listen.rpartition(':')[0]}:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
