"""Predict requests in JSON, by row (`instances`) or by column (`inputs`), with TensorFlow Serving's messages."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.stand_in.json_values import is_object, shown, to_array
from serving.stand_in.loaded_version import DEFAULT_SIGNATURE
from serving.stand_in.status import StatusError, invalid_argument

Inputs = Mapping[str, meta_graph_pb2.TensorInfo]


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in a request's body.  Raises StatusError if there is none, or its `signature_name` is no text."""
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        content = json.loads(body, parse_int=_integer, parse_float=_decimal)
    except ValueError as error:
        raise invalid_argument(f"JSON Parse error: {error}") from None
    if not isinstance(content, dict):
        raise invalid_argument(f"JSON Value: {shown(content)} Is not object")
    if not isinstance(content.get("signature_name", ""), str):
        raise invalid_argument(
            f"JSON Value: {shown(content)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return content


def to_request(
    content: Mapping[str, Any], signature_defs: Mapping[str, meta_graph_pb2.SignatureDef]
) -> predict_pb2.PredictRequest:
    """The PredictRequest that a JSON object from `parse` stands for; its model_spec has no name and no version.

    Raises StatusError if the signature is unknown, or the inputs do not fit it.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = content.get("signature_name", "")
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if key not in signature_defs:
        raise invalid_argument(f'Serving signature name: "{key}" not found in signature def')
    inputs = signature_defs[key].inputs
    if "instances" in content and "inputs" in content:
        raise invalid_argument(
            f"JSON Value: {shown(content)} Not formatted correctly expecting only one of 'inputs' or 'instances' "
            "keys to exist "
        )
    if "instances" in content:
        arrays = _by_row(content, inputs)
    elif "inputs" in content:
        arrays = _by_column(content["inputs"], inputs)
    else:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    for name, array in arrays.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array, inputs[name].dtype))
    return request


def _integer(text: str) -> int:
    """A number without a decimal point.  Raises ValueError if it is too large for a float64."""
    _decimal(text)
    return int(text)


def _decimal(text: str) -> float:
    """A number.  Raises ValueError if it is too large for a float64."""
    number = float(text)
    if math.isinf(number):
        raise ValueError("Number too big to be stored in double.")
    return number


def _by_row(content: Mapping[str, Any], inputs: Inputs) -> dict[str, np.ndarray]:
    """input → array, whose first dimension counts the instances."""
    instances = content["instances"]
    if not isinstance(instances, list):
        raise invalid_argument(f"JSON Value: {shown(content)} Excepting 'instances' to be an list/array")
    if not instances:
        raise invalid_argument(f"JSON Value: {shown(content)} No values in 'instances' array")
    if not isinstance(instances[0], dict) and len(inputs) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    are_named = is_object(instances[0])
    rows: dict[str, list[np.ndarray]] = {}
    for position, instance in enumerate(instances):
        if are_named != is_object(instance):
            raise invalid_argument(
                f"Expecting object but got list at item {position} of input list"
                if are_named
                else f"Expecting value/list but got object at item {position} of input list"
            )
        for name, values in (instance if are_named else {next(iter(inputs)): instance}).items():
            try:
                rows.setdefault(name, []).append(_row(name, values, inputs, rows))
            except StatusError as error:
                where = f"{position} key: {name}" if are_named else str(position)
                raise invalid_argument(
                    f"Failed to process element: {where} of 'instances' list. Error: {error.code.name}: {error}"
                ) from None
        if are_named and set(instance) != set(inputs):
            raise invalid_argument(
                f"Failed to process element: {position} of 'instances' list. JSON object: {shown(instance)} keys must "
                f"be equal to: {','.join(sorted(inputs))}"
            )
    return {name: np.stack(arrays) for name, arrays in rows.items()}


def _row(name: str, values: Any, inputs: Inputs, rows: Mapping[str, list[np.ndarray]]) -> np.ndarray:
    """One instance's array for the input `name`.  Raises StatusError if its shape is not that of the rows before."""
    if name not in inputs:
        raise invalid_argument(f"JSON object: does not have named input: {name}")
    array = to_array(values, inputs[name].dtype)
    first = rows[name][0] if rows[name] else array
    if array.size != first.size:
        raise invalid_argument(f"Expecting tensor size: {first.size} but got: {array.size}")
    if array.shape != first.shape:
        expected, given = (f"[{','.join(map(str, shape))}]" for shape in (first.shape, array.shape))
        raise invalid_argument(f"Expecting shape {expected} but got: {given}")
    return array


def _by_column(given: Any, inputs: Inputs) -> dict[str, np.ndarray]:
    """input → array.  given: an object with the inputs' names, or the value of the only input."""
    if not is_object(given):
        if len(inputs) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        ((name, info),) = inputs.items()
        return {name: to_array(given, info.dtype)}
    for name in sorted(inputs):
        if name not in given:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
    return {name: to_array(given[name], info.dtype) for name, info in inputs.items()}
