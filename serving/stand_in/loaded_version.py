"""One loaded version of a model, which answers Predict.

It runs in a session of TensorFlow's version-1 API, because TensorFlow Serving does so too: inputs are fed in the same
way, messages are the same, and shapes are not checked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.stand_in.batch_queues import BatchQueue, BatchThreads
from serving.stand_in.signature import signature_of
from serving.stand_in.status import STATUS_OF_CODE, StatusError
from serving.stand_in.tensors import Arrays, Dtypes, fill_tensor

DEFAULT_SIGNATURE = "serving_default"
# A small graph runs faster in the thread of the call than in the pool of threads, to which it must be handed over.
IN_CALLERS_THREAD = config_pb2.RunOptions(inter_op_thread_pool=-1)


@dataclass(frozen=True)
class VersionOptions:
    """How to load and run a version; the values come from TensorFlow Serving's flags.

    as_content: answer in `tensor_content`.  tags: of the MetaGraph to load.  intra_op_threads, inter_op_threads:
    0 lets TensorFlow choose.  batches: None runs every request alone.
    """

    as_content: bool = False
    tags: tuple[str, ...] = ("serve",)
    intra_op_threads: int = 0
    inter_op_threads: int = 0
    batches: BatchThreads | None = None


class LoadedVersion:
    """A SavedModel in memory."""

    def __init__(self, model_name: str, number: int, folder: Path, options: VersionOptions) -> None:
        """Load the SavedModel.  A broken one makes TensorFlow raise exceptions of many classes."""
        self.model_name = model_name
        self.number = number
        self._options = options
        config = config_pb2.ConfigProto(
            intra_op_parallelism_threads=options.intra_op_threads, inter_op_parallelism_threads=options.inter_op_threads
        )
        graph = tf.Graph()
        with graph.as_default():
            self._session = tf.compat.v1.Session(graph=graph, config=config)
            meta_graph = tf.compat.v1.saved_model.load(self._session, list(options.tags), str(folder))
        self.signature_defs: dict[str, meta_graph_pb2.SignatureDef] = dict(meta_graph.signature_def)
        self._signatures = {key: signature_of(definition) for key, definition in self.signature_defs.items()}
        self._runs: dict[tuple[str, tuple[str, ...]], Callable[..., list[np.ndarray]]] = {}
        self._queues: dict[tuple[str, tuple[str, ...]], BatchQueue] = {}
        self._queues_lock = threading.Lock()

    def predict(
        self, request: predict_pb2.PredictRequest, time_remaining: Callable[[], float | None] = lambda: None
    ) -> predict_pb2.PredictResponse:
        """Answer a Predict.  Raises StatusError.

        time_remaining: seconds until the caller's deadline, which limit the wait for a batch; None if it has none.
        """
        key = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self._signatures.get(key)
        if signature is None:
            raise StatusError(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
        arrays, dtypes = signature.read_inputs(request)
        outputs = signature.chosen_outputs(request.output_filter)
        if self._options.batches is None:
            values = self._run(key, outputs, arrays, dtypes)
        else:
            in_order = tuple(sorted(outputs))  # requests for the same outputs share a queue, whatever their order
            results = self._queue(key, in_order).run(arrays, dtypes, time_remaining())
            by_alias = dict(zip(in_order, results, strict=True))
            values = [by_alias[alias] for alias in outputs]
        response = predict_pb2.PredictResponse()
        for alias, value in zip(outputs, values, strict=True):
            dtype = signature.definition.outputs[alias].dtype
            fill_tensor(response.outputs[alias], np.asarray(value), dtype, self._options.as_content)
        response.model_spec.name = self.model_name
        response.model_spec.version.value = self.number
        response.model_spec.signature_name = key
        return response

    def close(self) -> None:
        """Free the model's memory; no call may be running."""
        for queue in self._queues.values():
            queue.close()
        self._session.close()

    def _queue(self, key: str, outputs: tuple[str, ...]) -> BatchQueue:
        with self._queues_lock:
            queue = self._queues.get((key, outputs))
            if queue is None:
                assert self._options.batches is not None
                signature = self._signatures[key]
                tensor_names = [signature.definition.inputs[alias].name for alias in signature.inputs]
                queue = BatchQueue(self._options.batches, tensor_names, partial(self._run, key, outputs))
                self._queues[key, outputs] = queue
            return queue

    def _run(self, key: str, outputs: tuple[str, ...], arrays: Arrays, dtypes: Dtypes) -> list[np.ndarray]:
        """Run the graph and return the values of `outputs`, in their order.  Raises StatusError."""
        signature = self._signatures[key]
        signature.check_dtypes(dtypes)
        run = self._runs.get((key, outputs))
        if run is None:
            definition = signature.definition
            options = config_pb2.CallableOptions(
                feed=[definition.inputs[alias].name for alias in signature.inputs],
                fetch=[definition.outputs[alias].name for alias in outputs],
                # The real server runs graphs in the pool. Its order decides which of two failing outputs is reported.
                run_options=IN_CALLERS_THREAD if len(outputs) == 1 else None,
            )
            # Session.make_callable would check shapes, which TensorFlow Serving does not, and is much slower.
            run = self._session._make_callable_from_options(options)
            self._runs[key, outputs] = run
        try:
            return run(*arrays)
        except tf.errors.OpError as error:
            raise StatusError(STATUS_OF_CODE[error.error_code], error.message) from error
