"""Predict requests as JSON, by row (`instances`) or by column (`inputs`); with TensorFlow Serving's messages."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.stand_in.loaded_version import DEFAULT_SIGNATURE
from serving.stand_in.status import StatusError, invalid_argument
from serving.stand_in.tensors import type_name

JSON_TYPES = {int: "Number", float: "Number", str: "String", list: "Array", dict: "Object", type(None): "Null"}
INT32 = range(-(1 << 31), 1 << 31)
INTEGERS = {
    types_pb2.DT_INT8: INT32,
    types_pb2.DT_INT16: INT32,
    types_pb2.DT_INT32: INT32,
    types_pb2.DT_UINT8: INT32,
    types_pb2.DT_INT64: range(-(1 << 63), 1 << 63),
    types_pb2.DT_UINT32: range(1 << 32),
    types_pb2.DT_UINT64: range(1 << 64),
}
FLOATS = {types_pb2.DT_FLOAT: np.finfo(np.float32), types_pb2.DT_DOUBLE: np.finfo(np.float64)}
Inputs = Mapping[str, meta_graph_pb2.TensorInfo]


def parse(body: bytes) -> dict[str, Any]:
    """Raises StatusError unless it is a JSON object with a signature's name, if any, that is text."""
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        content = json.loads(body)
    except ValueError as error:
        raise invalid_argument(f"JSON Parse error: {error}") from None
    if not isinstance(content, dict):
        raise invalid_argument(f"JSON Value: {_shown(content)} Is not object")
    if not isinstance(content.get("signature_name", ""), str):
        raise invalid_argument(
            f"JSON Value: {_shown(content)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return content


def to_request(
    content: Mapping[str, Any], signature_defs: Mapping[str, meta_graph_pb2.SignatureDef]
) -> predict_pb2.PredictRequest:
    """content: as `parse` gives it.  Raises StatusError."""
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = content.get("signature_name", "")
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if key not in signature_defs:
        raise invalid_argument(f'Serving signature name: "{key}" not found in signature def')
    inputs = signature_defs[key].inputs
    if "instances" in content and "inputs" in content:
        raise invalid_argument(
            f"JSON Value: {_shown(content)} Not formatted correctly expecting only one of 'inputs' or 'instances' "
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


def _by_row(content: Mapping[str, Any], inputs: Inputs) -> dict[str, np.ndarray]:
    instances = content["instances"]
    if not isinstance(instances, list):
        raise invalid_argument(f"JSON Value: {_shown(content)} Excepting 'instances' to be an list/array")
    if not instances:
        raise invalid_argument(f"JSON Value: {_shown(content)} No values in 'instances' array")
    if not isinstance(instances[0], dict) and len(inputs) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = _is_object(instances[0])
    rows: dict[str, list[np.ndarray]] = {}
    for position, instance in enumerate(instances):
        if named != _is_object(instance):
            raise invalid_argument(
                f"Expecting object but got list at item {position} of input list"
                if named
                else f"Expecting value/list but got object at item {position} of input list"
            )
        for name, values in (instance if named else {next(iter(inputs)): instance}).items():
            try:
                rows.setdefault(name, []).append(_row(name, values, inputs, rows))
            except StatusError as error:
                where = f"{position} key: {name}" if named else str(position)
                raise invalid_argument(
                    f"Failed to process element: {where} of 'instances' list. Error: {error.code.name}: {error}"
                ) from None
        if named and set(instance) != set(inputs):
            raise invalid_argument(
                f"Failed to process element: {position} of 'instances' list. JSON object: {_shown(instance)} keys must "
                f"be equal to: {','.join(sorted(inputs))}"
            )
    return {name: np.stack(arrays) for name, arrays in rows.items()}


def _row(name: str, values: Any, inputs: Inputs, rows: Mapping[str, list[np.ndarray]]) -> np.ndarray:
    if name not in inputs:
        raise invalid_argument(f"JSON object: does not have named input: {name}")
    array = _array(values, inputs[name].dtype)
    first = rows[name][0] if rows[name] else array
    if array.size != first.size:
        raise invalid_argument(f"Expecting tensor size: {first.size} but got: {array.size}")
    if array.shape != first.shape:
        expected, given = (f"[{','.join(map(str, shape))}]" for shape in (first.shape, array.shape))
        raise invalid_argument(f"Expecting shape {expected} but got: {given}")
    return array


def _by_column(given: Any, inputs: Inputs) -> dict[str, np.ndarray]:
    if not _is_object(given):
        if len(inputs) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        ((name, info),) = inputs.items()
        return {name: _array(given, info.dtype)}
    for name in sorted(inputs):
        if name not in given:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
    return {name: _array(given[name], info.dtype) for name, info in inputs.items()}


def _array(values: Any, dtype: int) -> np.ndarray:
    """Raises StatusError for a list that is ragged, or a value of another type than the input's."""
    shape, first = [], values
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    flat: list[Any] = []
    _fill(flat, values, 0, shape, dtype)
    sent = np.int64 if INTEGERS.get(dtype) is INT32 else tf.as_dtype(dtype).as_numpy_dtype
    return np.array(flat, sent).astype(tf.as_dtype(dtype).as_numpy_dtype).reshape(shape)


def _fill(flat: list[Any], values: Any, level: int, shape: list[int], dtype: int) -> None:
    if not isinstance(values, list):
        if level != len(shape):
            raise invalid_argument(
                f"JSON Value: {_shown(values)} found at incorrect level: {level + 1} in the JSON DOM. Expected at "
                f"level: {len(shape)}"
            )
        flat.append(_value(values, dtype))
        return
    if level >= len(shape):
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(values) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(values)} at level: {level} expected size: {shape[level]}"
        )
    for value in values:
        _fill(flat, value, level + 1, shape, dtype)


def _value(value: Any, dtype: int) -> Any:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if dtype in FLOATS:
        if is_integer or isinstance(value, float):
            if not _is_lossless(value, FLOATS[dtype]):
                raise invalid_argument(
                    f"Cannot convert JSON value: {_shown(value)} to {type_name(dtype)} without loss of precision."
                )
            return value
    elif dtype in INTEGERS:
        if is_integer and value in INTEGERS[dtype]:
            return value
    elif dtype == types_pb2.DT_BOOL:
        if isinstance(value, bool):
            return value
    elif dtype == types_pb2.DT_STRING:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict):
            return _decoded(value)
    elif not isinstance(value, dict):
        message = f"Conversion of JSON Value: {_shown(value)} to type: {type_name(dtype)}"
        raise StatusError(StatusCode.UNIMPLEMENTED, message)
    kind = str(value) if isinstance(value, bool) else JSON_TYPES[type(value)]
    raise invalid_argument(f"JSON Value: {_shown(value)} Type: {kind} is not of expected type: {type_name(dtype)}")


def _is_lossless(number: float, limits: Any) -> bool:
    if isinstance(number, int):
        return abs(number) < 1 << int(limits.nmant) + 1
    return not math.isfinite(number) or abs(number) <= float(limits.max)


def _decoded(value: dict[str, Any]) -> bytes:
    if _is_object(value):
        raise invalid_argument(f"JSON Value: {_shown(value)} not formatted correctly for base64 data")
    try:
        return base64.b64decode(value["b64"], validate=True)
    except binascii.Error:
        raise invalid_argument("Unable to base64 decode") from None


def _is_object(value: Any) -> bool:
    """Whether it is one with names, and not a string in base64."""
    return isinstance(value, dict) and not (set(value) == {"b64"} and isinstance(value["b64"], str))


def _shown(value: Any) -> str:
    return json.dumps(value, indent=4, ensure_ascii=False)
