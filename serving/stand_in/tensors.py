"""Conversion between TensorProto and numpy arrays, by TensorFlow's rules.

`tf.make_ndarray` and `tf.make_tensor_proto` are slower, and accept what the real server refuses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.stand_in.tensor_bytes import packed, strings_from_content, strings_to_content

Arrays = Sequence[np.ndarray]
Dtypes = Sequence[int]  # of tensorflow.DataType
MAX_BYTES = 1 << 28  # the largest array that a shorthand may stand for, because a few bytes can claim any shape


@dataclass(frozen=True)
class _Form:
    """How a TensorProto holds the elements of one dtype as typed values.

    field: the field of TensorProto.  sent: the dtype of its values.  bits: the dtype whose bits are the element's.
    array: the element's dtype.
    """

    field: str
    sent: np.dtype
    bits: np.dtype
    array: np.dtype


def _form(dtype: int, field: str, sent: type | None = None, bits: type | None = None) -> tuple[int, _Form]:
    array = np.dtype(tf.as_dtype(dtype).as_numpy_dtype)
    return dtype, _Form(field, np.dtype(sent or bits or array), np.dtype(bits or array), array)


_FORMS: dict[int, _Form] = dict(
    (
        _form(types_pb2.DT_FLOAT, "float_val"),
        _form(types_pb2.DT_DOUBLE, "double_val"),
        _form(types_pb2.DT_INT8, "int_val", np.int32),
        _form(types_pb2.DT_INT16, "int_val", np.int32),
        _form(types_pb2.DT_INT32, "int_val"),
        _form(types_pb2.DT_UINT8, "int_val", np.int32),
        _form(types_pb2.DT_UINT16, "int_val", np.int32),
        _form(types_pb2.DT_INT64, "int64_val"),
        _form(types_pb2.DT_UINT32, "uint32_val"),
        _form(types_pb2.DT_UINT64, "uint64_val"),
        _form(types_pb2.DT_BOOL, "bool_val"),
        _form(types_pb2.DT_STRING, "string_val"),
        _form(types_pb2.DT_HALF, "half_val", np.int32, np.uint16),
        _form(types_pb2.DT_BFLOAT16, "half_val", np.int32, np.uint16),
        _form(types_pb2.DT_COMPLEX64, "scomplex_val", bits=np.float32),
        _form(types_pb2.DT_COMPLEX128, "dcomplex_val", bits=np.float64),
    )
)
# Field numbers of the typed values whose bytes on the wire are the array's own, little-endian.
_PACKED = {types_pb2.DT_FLOAT: 5, types_pb2.DT_DOUBLE: 6, types_pb2.DT_COMPLEX64: 9, types_pb2.DT_COMPLEX128: 12}


def to_array(tensor: tensor_pb2.TensorProto) -> np.ndarray:
    """The array that a TensorProto stands for.

    Raises ValueError if the dtype is unknown, the shape is not fully known, or the content does not fit the shape.
    """
    form = _FORMS.get(tensor.dtype)
    if form is None:
        raise ValueError(f"expected a dtype with a numpy form, got {tensor.dtype}")
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    size = math.prod(shape)
    if tensor.tensor_shape.unknown_rank or any(n < 0 for n in shape):
        raise ValueError(f"expected a shape that is fully known, got {shape}")
    if size == 0:
        return np.empty(shape, form.array)
    content = tensor.tensor_content
    if not content:
        values = np.array(getattr(tensor, form.field), form.sent)
        flat = _expand(values.astype(form.bits, copy=False).view(form.array), size)
    elif form.array.hasobject:
        flat = np.array(strings_from_content(content, size), object)
    elif len(content) == size * form.array.itemsize:
        flat = np.frombuffer(content, form.array)
    else:
        raise ValueError(f"expected {size * form.array.itemsize} bytes, of {size} elements, got {len(content)}")
    return flat.reshape(shape)


def fill_tensor(tensor: tensor_pb2.TensorProto, array: np.ndarray, dtype: int, as_content: bool) -> None:
    """Put the array into an empty TensorProto, as typed values, or as raw bytes if `as_content`.

    The TensorProto is filled in place, because copying one costs as much as parsing it.
    """
    form = _FORMS.get(dtype)
    if form is None:
        tensor.CopyFrom(tf.make_tensor_proto(array))
        return
    tensor.dtype = dtype
    tensor.tensor_shape.SetInParent()
    for size in array.shape:
        tensor.tensor_shape.dim.add().size = size
    if as_content:
        tensor.tensor_content = strings_to_content(array) if form.array.hasobject else array.tobytes()
    elif dtype in _PACKED:
        if array.size:  # a field without values is left out
            tensor.MergeFromString(packed(_PACKED[dtype], array.tobytes()))
    else:
        getattr(tensor, form.field).extend(array.ravel().view(form.bits).tolist())


def type_name(dtype: int) -> str:
    """The name of a dtype in TensorFlow's messages, such as int64, float or string."""
    return str(types_pb2.DataType.Name(dtype)).removeprefix("DT_").lower()


def _expand(values: np.ndarray, size: int) -> np.ndarray:
    """Exactly `size` values: surplus ones are cut, and missing ones repeat the last, or are zero if there is none.

    Raises ValueError if the result would be too large.
    """
    if len(values) >= size:
        return values[:size]
    if size * values.itemsize > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES} bytes, got a shape of {size} elements for {len(values)} values")
    if len(values):
        return np.concatenate([values, np.repeat(values[-1:], size - len(values))])
    return np.full(size, b"", object) if values.dtype.hasobject else np.zeros(size, values.dtype)
