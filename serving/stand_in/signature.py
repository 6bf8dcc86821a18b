"""A signature of a SavedModel: it checks what a request brings and which outputs it asks for.

An *alias* is the name by which requests call an input or an output; its tensor in the graph has another name. The
messages are TensorFlow Serving's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.stand_in.status import invalid_argument
from serving.stand_in.tensors import Dtypes, to_array, type_name


@dataclass(frozen=True)
class Signature:
    """inputs: their aliases, sorted, as TensorFlow Serving feeds them.  dtypes: one per input.  outputs: sorted."""

    definition: meta_graph_pb2.SignatureDef
    inputs: tuple[str, ...]
    dtypes: tuple[int, ...]
    outputs: tuple[str, ...]

    def read_inputs(self, request: predict_pb2.PredictRequest) -> tuple[list[np.ndarray], list[int]]:
        """(arrays, dtypes) of the request's inputs, in this signature's order.

        Raises StatusError if an input is missing, is not in the signature, or is no tensor.
        """
        given, expected = set(request.inputs), set(self.inputs)
        if len(given) != len(expected):
            raise invalid_argument(
                f"input size does not match signature: {len(given)}!={len(expected)} len({_braced(given)}) != "
                f"len({_braced(expected)}). Sent extra: {_braced(given - expected)}. "
                f"Missing but required: {_braced(expected - given)}."
            )
        arrays, dtypes = [], []
        for alias in self.inputs:
            if alias not in given:
                raise invalid_argument(
                    f"Signature input alias: {alias}(feed name: {self.definition.inputs[alias].name}) not found in "
                    "request and no default value provided. Inputs expected to be in the request "
                    f"{_braced(given)}, or default input alias set: "
                )
            tensor = request.inputs[alias]
            try:
                arrays.append(to_array(tensor))
            except ValueError:
                raise invalid_argument(f"tensor parsing error: {alias}") from None
            dtypes.append(tensor.dtype)
        return arrays, dtypes

    def chosen_outputs(self, output_filter: Sequence[str]) -> tuple[str, ...]:
        """The aliases in the filter, all of them if it is empty.  Raises StatusError if one is unknown or repeated."""
        for position, alias in enumerate(output_filter):
            if alias not in self.outputs:
                raise invalid_argument(
                    f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                    f"{_braced(self.outputs)}."
                )
            if alias in output_filter[:position]:
                raise invalid_argument(f"duplicate output tensor alias: {alias}")
        return tuple(output_filter) or self.outputs

    def check_dtypes(self, dtypes: Dtypes) -> None:
        """Raise StatusError if an input has another dtype than the signature says."""
        for position, (expected, given) in enumerate(zip(self.dtypes, dtypes, strict=True)):
            if given != expected:
                raise invalid_argument(
                    f"Expects arg[{position}] to be {type_name(expected)} but {type_name(given)} is provided"
                )


def signature_of(definition: meta_graph_pb2.SignatureDef) -> Signature:
    """The signature that a SavedModel defines."""
    inputs = tuple(sorted(definition.inputs))
    dtypes = tuple(definition.inputs[alias].dtype for alias in inputs)
    return Signature(definition, inputs, dtypes, tuple(sorted(definition.outputs)))


def _braced(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
