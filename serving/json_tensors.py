"""Predict requests and answers as JSON: by row (`instances`, `predictions`) or by column (`inputs`, `outputs`)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.servable import DEFAULT_SIGNATURE
from serving.status import invalid_argument
from serving.tensors import type_name

JSON_TYPES = {bool: "Boolean", int: "Number", float: "Number", str: "String", list: "Array", dict: "Object"}


def parse(body: bytes) -> dict[str, Any]:
    """A predict request: `instances` or `inputs`.  Raises StatusError."""
    try:
        content = json.loads(body)
    except ValueError as error:
        raise invalid_argument(f"JSON Parse error: {error}") from None
    if not isinstance(content, dict):
        raise invalid_argument(f"Request must be a JSON object, got {JSON_TYPES.get(type(content), 'Null')}")
    if "instances" in content and "inputs" in content:
        raise invalid_argument("Expected either 'inputs' or 'instances', got both")
    if "instances" not in content and "inputs" not in content:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    return content


def to_request(
    content: Mapping[str, Any], signature_defs: Mapping[str, meta_graph_pb2.SignatureDef]
) -> predict_pb2.PredictRequest:
    """content: as `parse` gives it.  Raises StatusError for values that are not of their input's type."""
    request = predict_pb2.PredictRequest()
    key = content.get("signature_name", "")
    if not isinstance(key, str):
        raise invalid_argument("'signature_name' key must be a string value.")
    request.model_spec.signature_name = key
    definition = signature_defs.get(key or DEFAULT_SIGNATURE)
    if definition is None:  # predict says so
        return request
    by_row = "instances" in content
    given = content["instances"] if by_row else content["inputs"]
    for alias, values in _by_name(given, sorted(definition.inputs), by_row).items():
        if alias not in definition.inputs:
            request.inputs[alias].dtype = 0  # predict refuses it by name
            continue
        dtype = definition.inputs[alias].dtype
        try:
            array = np.array(_checked(values, dtype), tf.as_dtype(dtype).as_numpy_dtype)
        except (ValueError, OverflowError) as error:
            raise invalid_argument(
                f"Failed to read input {alias}: expected a full array of {type_name(dtype)}: {error}"
            ) from None
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(array, dtype))
    return request


def to_json(response: predict_pb2.PredictResponse, content: Mapping[str, Any]) -> dict[str, Any]:
    """In the form that the request asked in.  Raises StatusError if the outputs cannot be told by row."""
    outputs = {alias: tf.make_ndarray(tensor) for alias, tensor in response.outputs.items()}
    return {"predictions": _rows(outputs)} if "instances" in content else {"outputs": _columns(outputs)}


def _by_name(given: Any, names: list[str], by_row: bool) -> dict[str, Any]:
    """Input name → its values; names may be left out where there is one input."""
    if by_row:
        if not isinstance(given, list) or not given:
            raise invalid_argument("Request must have 'instances' as a non-empty list")
        if all(isinstance(row, dict) and set(row) != {"b64"} for row in given):
            first = set(given[0])
            for position, row in enumerate(given):
                if set(row) != first:
                    raise invalid_argument(
                        f"Failed to process element: {position} of 'instances' list. Expected the keys "
                        f"{sorted(first)}, got {sorted(row)}"
                    )
            return {name: [row[name] for row in given] for name in sorted(first)}
    elif isinstance(given, dict) and set(given) != {"b64"}:
        return dict(given)
    if len(names) != 1:
        raise invalid_argument(f"Expected an object with the inputs {', '.join(names)}, got values without a name")
    return {names[0]: given}


def _checked(values: Any, dtype: int) -> Any:
    """The values with base64 decoded.  Raises StatusError for one of another type than the input's."""
    if isinstance(values, list):
        return [_checked(value, dtype) for value in values]
    kind = tf.as_dtype(dtype)
    if kind == tf.string:
        if isinstance(values, dict) and set(values) == {"b64"} and isinstance(values["b64"], str):
            try:
                return base64.b64decode(values["b64"], validate=True)
            except binascii.Error:
                raise invalid_argument("Unable to base64 decode") from None
        fits = isinstance(values, str)
    elif kind == tf.bool:
        fits = isinstance(values, bool)
    else:
        fits = isinstance(values, int | float) and not isinstance(values, bool)
        fits = fits and (not kind.is_integer or isinstance(values, int))
    if not fits:
        shown = JSON_TYPES.get(type(values), "Null")
        raise invalid_argument(
            f"JSON Value: {json.dumps(values)} Type: {shown} is not of expected type: {type_name(dtype)}"
        )
    return values.encode() if isinstance(values, str) else values


def _rows(outputs: Mapping[str, np.ndarray]) -> list[Any]:
    """One prediction per row of the batch; unnamed if there is one output."""
    sizes = {alias: array.shape[0] if array.ndim else None for alias, array in outputs.items()}
    if None in sizes.values() or len(set(sizes.values())) > 1:
        raise invalid_argument(f"Tensors to be answered by row must have one batch size, got {sizes}")
    columns = {alias: _plain(alias, array) for alias, array in outputs.items()}
    if len(columns) == 1:
        rows: list[Any] = next(iter(columns.values()))
        return rows
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _columns(outputs: Mapping[str, np.ndarray]) -> Any:
    columns = {alias: _plain(alias, array) for alias, array in outputs.items()}
    return next(iter(columns.values())) if len(columns) == 1 else columns


def _plain(alias: str, array: np.ndarray) -> Any:
    """Nested lists; strings as text, or in base64 if the output's name ends in _bytes or they are no UTF-8."""
    if array.dtype != object:
        return array.tolist()

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(item) for item in value]
        try:
            if not alias.endswith("_bytes"):
                return value.decode()
        except UnicodeDecodeError:
            pass
        return {"b64": base64.b64encode(value).decode()}

    return text(array.tolist())
