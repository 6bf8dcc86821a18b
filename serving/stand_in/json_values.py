"""Nested lists of JSON values as arrays, with TensorFlow Serving's messages."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.framework import types_pb2

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
FLOATS = (types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE)


def to_array(values: Any, dtype: int) -> np.ndarray:
    """The array of a nested list, or of a single value.

    Raises StatusError for a ragged list, and for a value that does not fit the dtype.
    """
    shape, first = [], values
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    flat: list[Any] = []
    _flatten(flat, values, 0, shape, dtype)
    wanted = tf.as_dtype(dtype).as_numpy_dtype
    parsed = np.int64 if INTEGERS.get(dtype) is INT32 else np.float64 if dtype in FLOATS else wanted
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinity
        return np.array(flat, parsed).astype(wanted).reshape(shape)


def is_object(value: Any) -> bool:
    """Whether a JSON value is an object with names; `{"b64": "…"}` is a byte string instead."""
    return isinstance(value, dict) and not (set(value) == {"b64"} and isinstance(value["b64"], str))


def shown(value: Any) -> str:
    """A JSON value as the messages show it."""
    return json.dumps(value, indent=4, ensure_ascii=False)


def _flatten(flat: list[Any], values: Any, level: int, shape: list[int], dtype: int) -> None:
    """Append the elements of `values`, which stand at this level of a list of that shape."""
    if not isinstance(values, list):
        if level != len(shape):
            raise invalid_argument(
                f"JSON Value: {shown(values)} found at incorrect level: {level + 1} in the JSON DOM. Expected at "
                f"level: {len(shape)}"
            )
        flat.append(_element(values, dtype))
        return
    if level >= len(shape):
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(values) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(values)} at level: {level} expected size: {shape[level]}"
        )
    for value in values:
        _flatten(flat, value, level + 1, shape, dtype)


def _element(value: Any, dtype: int) -> Any:
    """The element of an array of that dtype.  Raises StatusError if the value does not fit."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if dtype in FLOATS:
        if is_integer or isinstance(value, float):
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
        message = f"Conversion of JSON Value: {shown(value)} to type: {type_name(dtype)}"
        raise StatusError(StatusCode.UNIMPLEMENTED, message)
    kind = str(value) if isinstance(value, bool) else JSON_TYPES[type(value)]
    raise invalid_argument(f"JSON Value: {shown(value)} Type: {kind} is not of expected type: {type_name(dtype)}")


def _decoded(value: dict[str, Any]) -> bytes:
    """The byte string that `{"b64": "…"}` stands for.  Raises StatusError if it stands for none."""
    if is_object(value):
        raise invalid_argument(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    try:
        return base64.b64decode(value["b64"], validate=True)
    except binascii.Error:
        raise invalid_argument("Unable to base64 decode") from None
