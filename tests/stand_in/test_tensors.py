"""The stand-in's conversion of TensorProtos, compared with TensorFlow's own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2

from serving.stand_in.tensors import fill_tensor, to_array
from trainer.model.tensorflow_quietly import tf

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "float_val": st.floats(width=32),
    "double_val": st.floats(),
    "int_val": st.integers(-(1 << 31), (1 << 31) - 1),
    "int64_val": st.integers(-(1 << 63), (1 << 63) - 1),
    "uint32_val": st.integers(0, (1 << 32) - 1),
    "uint64_val": st.integers(0, (1 << 64) - 1),
    "bool_val": st.booleans(),
    "string_val": st.binary(max_size=200),
    "half_val": st.integers(0, (1 << 16) - 1),
    "scomplex_val": st.floats(width=32),
    "dcomplex_val": st.floats(),
}
FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int8": "int_val",
    "int16": "int_val",
    "int32": "int_val",
    "uint8": "int_val",
    "uint16": "int_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
    "string": "string_val",
    "float16": "half_val",
    "bfloat16": "half_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
}
SHAPES = st.lists(st.integers(-1, 3), max_size=3)


ZERO_BYTES = tensor_pb2.TensorProto(  # two strings of a zero byte
    dtype=types_pb2.DT_STRING,
    tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=2)]),
    string_val=[b"\0"],
)


@st.composite
def tensor_protos(draw: st.DrawFn) -> tensor_pb2.TensorProto:
    """TensorProtos of every dtype, some of which stand for no array."""
    dtype = tf.as_dtype(draw(st.sampled_from(list(FIELDS))))
    shape = draw(SHAPES)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    count = draw(st.integers(0, 8)) * (2 if dtype.is_complex else 1)
    field = FIELDS[dtype.name]
    getattr(proto, field).extend(draw(st.lists(VALUES[field], min_size=count, max_size=count)))
    if draw(st.booleans()):
        if dtype == tf.string:
            content = draw(st.binary(max_size=12))
        else:
            size = dtype.size * math.prod(shape) + draw(st.sampled_from([0, 0, 0, -1, 1]))
            content = draw(st.binary(min_size=max(size, 0), max_size=max(size, 0)))
        proto.tensor_content = bytes(byte & 1 for byte in content) if dtype == tf.bool else content
    return proto


@settings(max_examples=800)
@given(tensor_protos())
@example(ZERO_BYTES)
def test_a_tensor_is_read_as_tensorflow_reads_it(proto: tensor_pb2.TensorProto) -> None:
    """Random TensorProtos become the array that TensorFlow makes of them, or are refused where it refuses them."""
    try:
        expected = tf.io.parse_tensor(proto.SerializeToString(), tf.as_dtype(proto.dtype)).numpy()
    except tf.errors.InvalidArgumentError:
        with pytest.raises(ValueError, match=r"shape|bytes|strings"):
            to_array(proto)
    else:
        # Without the dtype, numpy would drop the zero bytes at the end of a byte string.
        expected = np.asarray(expected, object if isinstance(expected, bytes) else None)
        array = to_array(proto)
        assert array.shape == expected.shape
        assert array.tolist() == expected.tolist() or array.tobytes() == expected.tobytes()


def test_a_shape_beyond_all_memory_is_refused() -> None:
    """A few bytes that claim a huge shape raise ValueError."""
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_INT64, int64_val=[1])
    proto.tensor_shape.dim.add().size = 1 << 40
    with pytest.raises(ValueError, match=str(1 << 40)):
        to_array(proto)


ARRAYS = [
    *(np.arange(-3, 3).reshape(2, 3).astype(tf.as_dtype(name).as_numpy_dtype) for name in FIELDS if name != "string"),
    np.array([b"", b"\0", b"x" * 300], object),
    np.array([np.nan, np.inf, -0.0], np.float32),
    np.array(7.5, np.float64),
    np.array(b"scalar", object),
    np.empty((0, 4), np.float32),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{list(array.shape)}")
@pytest.mark.parametrize("as_content", [False, True], ids=["typed", "content"])
def test_tensorflow_reads_what_was_written(array: np.ndarray, as_content: bool) -> None:
    """TensorFlow reads a written TensorProto as the array that it was made from."""
    tensor = tf.constant(array.tolist(), tf.string) if array.dtype == object else tf.constant(array)
    proto = tensor_pb2.TensorProto()
    fill_tensor(proto, array, tensor.dtype.as_datatype_enum, as_content)
    assert bool(proto.tensor_content) == (as_content and array.size > 0)
    parsed = tf.io.parse_tensor(proto.SerializeToString(), tensor.dtype)
    assert tf.io.serialize_tensor(parsed) == tf.io.serialize_tensor(tensor)
