"""Predict responses in JSON, by row (`predictions`) or by column (`outputs`), as the request was."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving.stand_in.status import invalid_argument


def to_json(response: predict_pb2.PredictResponse, by_row: bool) -> dict[str, Any]:
    """The JSON object of a response.

    Raises StatusError if `by_row`, and the outputs do not all have the same number of rows.
    """
    outputs = {alias: tf.make_ndarray(tensor) for alias, tensor in response.outputs.items()}
    if not by_row:
        columns = {alias: _nested_lists(alias, array) for alias, array in outputs.items()}
        return {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}
    batch_size = None
    for alias, array in outputs.items():
        if not array.ndim:
            raise invalid_argument(f"Tensor name: {alias} has no shape information ")
        if batch_size not in (None, len(array)):
            raise invalid_argument(
                f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {batch_size}"
            )
        batch_size = len(array)
    columns = {alias: _nested_lists(alias, array) for alias, array in outputs.items()}
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def _nested_lists(alias: str, array: np.ndarray) -> Any:
    """The array as nested lists of JSON values.

    A string becomes text, or `{"b64": "…"}` if the output's alias ends in _bytes or the string is not UTF-8.
    """
    if array.dtype in (np.float32, np.float16):
        # By way of text, so that 0.1 does not become 0.10000000149011612.
        return array.astype("U32").astype(np.float64).tolist()
    if array.dtype != object:
        return array.tolist()
    return _text(array.tolist(), as_bytes=alias.endswith("_bytes"))


def _text(value: Any, as_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_text(item, as_bytes) for item in value]
    try:
        if not as_bytes:
            return value.decode()
    except UnicodeDecodeError:
        pass
    return {"b64": base64.b64encode(value).decode()}
