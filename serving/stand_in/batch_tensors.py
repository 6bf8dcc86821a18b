"""Several requests' inputs as one, and the outputs apart again; with TensorFlow Serving's messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from grpc import StatusCode

from serving.stand_in.status import StatusError, invalid_argument
from serving.stand_in.tensors import type_name

Arrays = Sequence[np.ndarray]
Dtypes = Sequence[int]


def rows_of(arrays: Arrays) -> int:
    """The size of a request: of its inputs' first dimension.  Raises StatusError if there is none in common."""
    if not arrays:
        raise invalid_argument("Batching Run() must have at least one input tensor")
    if not all(array.ndim for array in arrays):
        raise invalid_argument("Batching Run() input tensors must have at least one dimension")
    if len({len(array) for array in arrays}) > 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    return len(arrays[0])


def merge(names: Sequence[str], requests: Sequence[tuple[Arrays, Dtypes]], padding: int) -> tuple[Arrays, Dtypes]:
    """The requests' inputs one after the other, then `padding` times a row that one of them sent; and their dtypes.

    names: of the inputs, for messages.  Raises StatusError if the requests do not fit together.
    """
    by_input = [[arrays[position] for arrays, _ in requests] for position in range(len(names))]
    for name, arrays in zip(names, by_input, strict=True):
        if len({array.shape[1:] for array in arrays}) > 1:
            raise StatusError(
                StatusCode.FAILED_PRECONDITION,
                f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off. "
                "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
                "dimensions starting with the first dim.",
            )
        if padding:
            last = next(array for array in reversed(arrays) if len(array))
            arrays.append(np.repeat(last[:1], padding, axis=0))
    first = requests[0][1]
    for _, dtypes in requests:
        for expected, given in zip(first, dtypes, strict=True):
            if given != expected:
                raise StatusError(
                    StatusCode.INTERNAL,
                    "Tensor concat operation failed: INVALID_ARGUMENT: Cannot concatenate tensors that have different "
                    f"data types. Got {type_name(expected)} and {type_name(given)}.",
                )
    return [arrays[0] if len(arrays) == 1 else np.concatenate(arrays) for arrays in by_input], first


def split(outputs: Arrays, sizes: Sequence[int], padding: int) -> list[Arrays]:
    """Every request's part of the outputs, in order, without the padding's.  Raises StatusError if they have none."""
    for output in outputs:
        if not output.ndim:
            raise StatusError(StatusCode.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
        if len(output) != sum(sizes) + padding:
            raise StatusError(
                StatusCode.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors",
            )
    ends = np.cumsum(sizes).tolist()
    return [[output[end - size : end] for output in outputs] for size, end in zip(sizes, ends, strict=True)]
