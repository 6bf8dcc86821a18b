"""TensorProto to numpy and back, by TensorFlow's rules.

`tf.make_ndarray` and `tf.make_tensor_proto` do the same at several times the cost, and are laxer than the real server.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

MAX_BYTES = 1 << 28  # of one tensor: shorthand can claim a shape far beyond what was sent

# DataType → (numpy dtype of the values as sent, field of TensorProto)
_TYPED: dict[int, tuple[np.dtype, str]] = {
    types_pb2.DT_FLOAT: (np.dtype(np.float32), "float_val"),
    types_pb2.DT_DOUBLE: (np.dtype(np.float64), "double_val"),
    types_pb2.DT_INT8: (np.dtype(np.int8), "int_val"),
    types_pb2.DT_INT16: (np.dtype(np.int16), "int_val"),
    types_pb2.DT_INT32: (np.dtype(np.int32), "int_val"),
    types_pb2.DT_UINT8: (np.dtype(np.uint8), "int_val"),
    types_pb2.DT_UINT16: (np.dtype(np.uint16), "int_val"),
    types_pb2.DT_INT64: (np.dtype(np.int64), "int64_val"),
    types_pb2.DT_UINT32: (np.dtype(np.uint32), "uint32_val"),
    types_pb2.DT_UINT64: (np.dtype(np.uint64), "uint64_val"),
    types_pb2.DT_BOOL: (np.dtype(np.bool_), "bool_val"),
    types_pb2.DT_STRING: (np.dtype(object), "string_val"),
    types_pb2.DT_HALF: (np.dtype(np.uint16), "half_val"),
    types_pb2.DT_BFLOAT16: (np.dtype(np.uint16), "half_val"),
}
# A packed repeated field of fixed-width numbers is those numbers' little-endian bytes: (wire tag, wire dtype).
_PACKED_BYTES = {types_pb2.DT_FLOAT: (b"\x2a", "<f4"), types_pb2.DT_DOUBLE: (b"\x32", "<f8")}


def to_array(tensor: tensor_pb2.TensorProto) -> np.ndarray:
    """The array a TensorProto stands for.  Raises ValueError if it stands for none."""
    if tensor.dtype not in _TYPED:
        raise ValueError(f"dtype {tensor.dtype}")
    dtype, field = _TYPED[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    size = math.prod(shape)
    if tensor.tensor_shape.unknown_rank or any(n < 0 for n in shape) or size * dtype.itemsize > MAX_BYTES:
        raise ValueError(f"shape {shape}")
    if tensor.tensor_content:
        if dtype.hasobject or len(tensor.tensor_content) != size * dtype.itemsize:
            raise ValueError(f"{len(tensor.tensor_content)} bytes for {size} elements")
        flat = np.frombuffer(tensor.tensor_content, dtype.newbyteorder("<"))
    else:
        flat = _expand(np.array(getattr(tensor, field), dtype), size)
    if field == "half_val":
        flat = flat.view(tf.as_dtype(tensor.dtype).as_numpy_dtype)
    return flat.reshape(shape)


def to_tensor(array: np.ndarray, dtype: int, as_content: bool) -> tensor_pb2.TensorProto:
    """The answer's form: typed values, or raw bytes if `as_content` and the dtype has them."""
    tensor = tensor_pb2.TensorProto(dtype=dtype)
    for size in array.shape:
        tensor.tensor_shape.dim.add().size = size
    if as_content and dtype != types_pb2.DT_STRING:
        tensor.tensor_content = array.tobytes()
    elif dtype in _PACKED_BYTES:
        if array.size:
            tag, wire_dtype = _PACKED_BYTES[dtype]
            content = array.astype(wire_dtype, copy=False).tobytes()
            tensor.MergeFromString(tag + _varint(len(content)) + content)
    elif dtype in _TYPED:
        wire_dtype_, field = _TYPED[dtype]
        flat = array.ravel()
        if field == "half_val":
            flat = flat.view(wire_dtype_)
        getattr(tensor, field).extend(flat.tolist())
    else:
        tensor.CopyFrom(tf.make_tensor_proto(array))
    return tensor


def type_name(dtype: int) -> str:
    """TensorFlow's name in messages: int64, float, string."""
    return str(types_pb2.DataType.Name(dtype)).removeprefix("DT_").lower()


def _expand(values: np.ndarray, size: int) -> np.ndarray:
    """Shorthand: too few values repeat the last, none at all are zeros or empty strings, surplus ones are cut."""
    if len(values) >= size:
        return values[:size]
    if len(values):
        return np.concatenate([values, np.full(size - len(values), values[-1], values.dtype)])
    return np.full(size, b"", object) if values.dtype.hasobject else np.zeros(size, values.dtype)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
