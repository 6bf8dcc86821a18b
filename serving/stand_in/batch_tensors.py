"""Joining the inputs of several requests into one batch, and cutting the batch's outputs apart again.

The messages are TensorFlow Serving's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from grpc import StatusCode

from serving.stand_in.status import StatusError, invalid_argument
from serving.stand_in.tensors import Arrays, Dtypes, type_name


def rows_of(arrays: Arrays) -> int:
    """The number of rows of a request: the first dimension of its inputs.

    Raises StatusError if there are no inputs, or if they do not have the same number of rows.
    """
    if not arrays:
        raise invalid_argument("Batching Run() must have at least one input tensor")
    if not all(array.ndim for array in arrays):
        raise invalid_argument("Batching Run() input tensors must have at least one dimension")
    if len({len(array) for array in arrays}) > 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    return len(arrays[0])


def merge(
    tensor_names: Sequence[str], requests: Sequence[tuple[Arrays, Dtypes]], padding: int
) -> tuple[Arrays, Dtypes]:
    """Join the requests' rows, input by input, and return the joined inputs and their dtypes.

    tensor_names: of the inputs, for messages.  padding: how many rows to add; they repeat one of the requests' rows.
    Raises StatusError if the requests' shapes or dtypes differ.
    """
    by_input = [[arrays[position] for arrays, _ in requests] for position in range(len(tensor_names))]
    for name, arrays in zip(tensor_names, by_input, strict=True):
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
    """Cut a batch's outputs into one part per request, in order, and drop the padding.

    sizes: rows of each request.  Raises StatusError if an output does not have as many rows as the batch.
    """
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
