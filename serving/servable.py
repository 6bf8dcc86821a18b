"""One loaded version of a model: checks requests against its signatures and runs them.

A session of the version-1 API, because that is what TensorFlow Serving runs: same feeds, same messages, no shape
checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.status import STATUS_OF_CODE, StatusError, invalid_argument
from serving.tensors import fill_tensor, to_array, type_name

DEFAULT_SIGNATURE = "serving_default"
# Handing a small graph to the pool of threads costs several times what running it in the thread of the call does.
IN_CALLERS_THREAD = config_pb2.RunOptions(inter_op_thread_pool=-1)
Run = Callable[..., list[np.ndarray]]


@dataclass(frozen=True)
class _Signature:
    """inputs: aliases, sorted, as TensorFlow Serving feeds them.  outputs: sorted."""

    definition: meta_graph_pb2.SignatureDef
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Servable:
    """A SavedModel with the tag "serve"."""

    def __init__(self, name: str, version: int, folder: Path, as_content: bool) -> None:
        """Loads it.  Raises whatever TensorFlow raises for the many ways in which a SavedModel can be broken."""
        self.name = name
        self.version = version
        self._as_content = as_content
        graph = tf.Graph()
        with graph.as_default():
            self._session = tf.compat.v1.Session(graph=graph)
            meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        self.signature_defs: dict[str, meta_graph_pb2.SignatureDef] = dict(meta_graph.signature_def)
        self._signatures = {
            key: _Signature(definition, tuple(sorted(definition.inputs)), tuple(sorted(definition.outputs)))
            for key, definition in self.signature_defs.items()
        }
        self._runs: dict[tuple[str, tuple[str, ...]], Run] = {}

    def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Raises StatusError."""
        key = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self._signatures.get(key)
        if signature is None:
            raise StatusError(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
        arrays = _feeds(signature, request)
        outputs = _outputs(signature, request.output_filter)
        _check_dtypes(signature, request)
        try:
            values = self._run(key, signature, outputs)(*arrays)
        except tf.errors.OpError as error:
            raise StatusError(STATUS_OF_CODE[error.error_code], error.message) from error
        response = predict_pb2.PredictResponse()
        for alias, value in zip(outputs, values, strict=True):
            dtype = signature.definition.outputs[alias].dtype
            fill_tensor(response.outputs[alias], np.asarray(value), dtype, self._as_content)
        response.model_spec.name = self.name
        response.model_spec.version.value = self.version
        response.model_spec.signature_name = key
        return response

    def close(self) -> None:
        """Frees the model; no call may be running."""
        self._session.close()

    def _run(self, key: str, signature: _Signature, outputs: tuple[str, ...]) -> Run:
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
        return run


def _feeds(signature: _Signature, request: predict_pb2.PredictRequest) -> list[np.ndarray]:
    given, expected = set(request.inputs), set(signature.inputs)
    if len(given) != len(expected):
        raise invalid_argument(
            f"input size does not match signature: {len(given)}!={len(expected)} len({_braced(given)}) != "
            f"len({_braced(expected)}). Sent extra: {_braced(given - expected)}. "
            f"Missing but required: {_braced(expected - given)}."
        )
    arrays = []
    for alias in signature.inputs:
        if alias not in given:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {signature.definition.inputs[alias].name}) not found in "
                f"request and no default value provided. Inputs expected to be in the request {_braced(given)}, or "
                "default input alias set: "
            )
        try:
            arrays.append(to_array(request.inputs[alias]))
        except ValueError:
            raise invalid_argument(f"tensor parsing error: {alias}") from None
    return arrays


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


def _check_dtypes(signature: _Signature, request: predict_pb2.PredictRequest) -> None:
    for position, alias in enumerate(signature.inputs):
        expected, given = signature.definition.inputs[alias].dtype, request.inputs[alias].dtype
        if given != expected:
            raise invalid_argument(
                f"Expects arg[{position}] to be {type_name(expected)} but {type_name(given)} is provided"
            )


def _braced(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
