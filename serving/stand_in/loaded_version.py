"""One loaded version of a model: checks requests against its signatures and runs them.

A session of the version-1 API, because that is what TensorFlow Serving runs: same feeds, same messages, no shape
checks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.stand_in.batch_queues import BatchQueue, BatchThreads
from serving.stand_in.batch_tensors import Arrays, Dtypes
from serving.stand_in.status import STATUS_OF_CODE, StatusError, invalid_argument
from serving.stand_in.tensors import fill_tensor, to_array, type_name

DEFAULT_SIGNATURE = "serving_default"
# Handing a small graph to the pool of threads costs several times what running it in the thread of the call does.
IN_CALLERS_THREAD = config_pb2.RunOptions(inter_op_thread_pool=-1)


@dataclass(frozen=True)
class ServableOptions:
    """TensorFlow Serving's flags, by and large.  Threads: 0 for what TensorFlow likes.  batches: None for none."""

    as_content: bool = False
    tags: tuple[str, ...] = ("serve",)
    intra_op_threads: int = 0
    inter_op_threads: int = 0
    batches: BatchThreads | None = None


@dataclass(frozen=True)
class _Signature:
    """inputs: aliases, sorted, as TensorFlow Serving feeds them.  dtypes: theirs.  outputs: sorted."""

    definition: meta_graph_pb2.SignatureDef
    inputs: tuple[str, ...]
    dtypes: tuple[int, ...]
    outputs: tuple[str, ...]


class Servable:
    """A SavedModel with the wanted tags."""

    def __init__(self, name: str, version: int, folder: Path, options: ServableOptions) -> None:
        """Loads it.  Raises whatever TensorFlow raises for the many ways in which a SavedModel can be broken."""
        self.name = name
        self.version = version
        self._options = options
        config = config_pb2.ConfigProto(
            intra_op_parallelism_threads=options.intra_op_threads, inter_op_parallelism_threads=options.inter_op_threads
        )
        graph = tf.Graph()
        with graph.as_default():
            self._session = tf.compat.v1.Session(graph=graph, config=config)
            meta_graph = tf.compat.v1.saved_model.load(self._session, list(options.tags), str(folder))
        self.signature_defs: dict[str, meta_graph_pb2.SignatureDef] = dict(meta_graph.signature_def)
        self._signatures = {key: _signature(definition) for key, definition in self.signature_defs.items()}
        self._runs: dict[tuple[str, tuple[str, ...]], Callable[..., list[np.ndarray]]] = {}
        self._queues: dict[tuple[str, tuple[str, ...]], BatchQueue] = {}
        self._queues_lock = threading.Lock()

    def predict(
        self, request: predict_pb2.PredictRequest, time_remaining: Callable[[], float | None] = lambda: None
    ) -> predict_pb2.PredictResponse:
        """time_remaining: seconds to wait for a batch; None for any time.  Raises StatusError."""
        key = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self._signatures.get(key)
        if signature is None:
            raise StatusError(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
        arrays, dtypes = _feeds(signature, request)
        outputs = _outputs(signature, request.output_filter)
        if self._options.batches is None:
            values = self._run(key, outputs, arrays, dtypes)
        else:
            together = tuple(sorted(outputs))  # in whatever order they are asked for
            by_name = dict(zip(together, self._queue(key, together).run(arrays, dtypes, time_remaining()), strict=True))
            values = [by_name[alias] for alias in outputs]
        response = predict_pb2.PredictResponse()
        for alias, value in zip(outputs, values, strict=True):
            dtype = signature.definition.outputs[alias].dtype
            fill_tensor(response.outputs[alias], np.asarray(value), dtype, self._options.as_content)
        response.model_spec.name = self.name
        response.model_spec.version.value = self.version
        response.model_spec.signature_name = key
        return response

    def close(self) -> None:
        """Frees the model; no call may be running."""
        for queue in self._queues.values():
            queue.close()
        self._session.close()

    def _queue(self, key: str, outputs: tuple[str, ...]) -> BatchQueue:
        with self._queues_lock:
            queue = self._queues.get((key, outputs))
            if queue is None:
                assert self._options.batches is not None
                inputs = self._signatures[key].definition.inputs
                names = [inputs[alias].name for alias in self._signatures[key].inputs]
                queue = BatchQueue(self._options.batches, names, partial(self._run, key, outputs))
                self._queues[key, outputs] = queue
            return queue

    def _run(self, key: str, outputs: tuple[str, ...], arrays: Arrays, dtypes: Dtypes) -> list[np.ndarray]:
        """The outputs, in the given order.  Raises StatusError."""
        signature = self._signatures[key]
        _check_dtypes(signature, dtypes)
        run = self._runs.get((key, outputs))
        if run is None:
            definition = signature.definition
            options = config_pb2.CallableOptions(
                feed=[definition.inputs[alias].name for alias in signature.inputs],
                fetch=[definition.outputs[alias].name for alias in outputs],
                # several outputs go to the pool all the same: its order decides which of two failing ones is reported
                run_options=IN_CALLERS_THREAD if len(outputs) == 1 else None,
            )
            # Session.make_callable would check shapes, which TensorFlow Serving does not, and cost five times as much
            run = self._session._make_callable_from_options(options)
            self._runs[key, outputs] = run
        try:
            return run(*arrays)
        except tf.errors.OpError as error:
            raise StatusError(STATUS_OF_CODE[error.error_code], error.message) from error


def _signature(definition: meta_graph_pb2.SignatureDef) -> _Signature:
    inputs = tuple(sorted(definition.inputs))
    dtypes = tuple(definition.inputs[alias].dtype for alias in inputs)
    return _Signature(definition, inputs, dtypes, tuple(sorted(definition.outputs)))


def _feeds(signature: _Signature, request: predict_pb2.PredictRequest) -> tuple[list[np.ndarray], list[int]]:
    """(arrays, dtypes) of the inputs.  Raises StatusError."""
    given, expected = set(request.inputs), set(signature.inputs)
    if len(given) != len(expected):
        raise invalid_argument(
            f"input size does not match signature: {len(given)}!={len(expected)} len({_braced(given)}) != "
            f"len({_braced(expected)}). Sent extra: {_braced(given - expected)}. "
            f"Missing but required: {_braced(expected - given)}."
        )
    arrays, dtypes = [], []
    for alias in signature.inputs:
        if alias not in given:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {signature.definition.inputs[alias].name}) not found in "
                f"request and no default value provided. Inputs expected to be in the request {_braced(given)}, or "
                "default input alias set: "
            )
        tensor = request.inputs[alias]
        try:
            arrays.append(to_array(tensor))
        except ValueError:
            raise invalid_argument(f"tensor parsing error: {alias}") from None
        dtypes.append(tensor.dtype)
    return arrays, dtypes


def _outputs(signature: _Signature, output_filter: Sequence[str]) -> tuple[str, ...]:
    for position, alias in enumerate(output_filter):
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_braced(signature.outputs)}."
            )
        if alias in output_filter[:position]:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
    return tuple(output_filter) or signature.outputs


def _check_dtypes(signature: _Signature, dtypes: Dtypes) -> None:
    for position, (expected, given) in enumerate(zip(signature.dtypes, dtypes, strict=True)):
        if given != expected:
            raise invalid_argument(
                f"Expects arg[{position}] to be {type_name(expected)} but {type_name(given)} is provided"
            )


def _braced(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
