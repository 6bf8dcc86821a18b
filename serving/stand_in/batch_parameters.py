"""The parameters of server-side batching: --enable_batching and --batching_parameters_file."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass

from protos.tfserving.v1.batching_parameters_pb2 import BatchingParameters
from serving.stand_in.text_proto import ConfigError, read_text_proto


@dataclass(frozen=True)
class BatchParameters:
    """max_batch_size: the most rows in a batch, and in a request.  timeout_s: how long a batch waits for more rows.
    max_enqueued_batches: requests beyond these batches are refused.  allowed_sizes: a batch is padded to the next of
    these sizes, which ascend; none are padded if there are none."""

    max_batch_size: int
    timeout_s: float
    max_enqueued_batches: int
    num_threads: int
    allowed_sizes: tuple[int, ...]

    def padded(self, size: int) -> int:
        """The size to which a batch of `size` rows is padded."""
        return next((allowed for allowed in self.allowed_sizes if allowed >= size), size)


def batch_parameters_of(flags: argparse.Namespace) -> BatchParameters | None:
    """The parameters in the flags' file, None if batching is off.

    Raises ConfigError for values with which the real server would not start.
    """
    if not flags.enable_batching:
        if flags.batching_parameters_file:
            raise ConfigError("--batching_parameters_file is set without --enable_batching")
        return None
    source = flags.batching_parameters_file
    parsed = read_text_proto(source, BatchingParameters) if source else BatchingParameters()

    def number(name: str, default: int, least: int) -> int:
        value = int(getattr(parsed, name).value) if parsed.HasField(name) else default
        if value < least:
            raise ConfigError(f"{source}: {name}: expected at least {least}, got {value}")
        return value

    # The defaults are TensorFlow Serving's.
    parameters = BatchParameters(
        max_batch_size=number("max_batch_size", 1000, least=1),
        timeout_s=number("batch_timeout_micros", 0, least=0) / 1e6,
        max_enqueued_batches=max(number("max_enqueued_batches", 10, least=0), 1),  # TensorFlow Serving takes 0 as 1
        num_threads=number("num_batch_threads", os.cpu_count() or 1, least=1),
        allowed_sizes=tuple(parsed.allowed_batch_sizes),
    )
    _check_allowed_sizes(source, parameters)
    if parsed.pad_variable_length_inputs:
        raise ConfigError(f"{source}: pad_variable_length_inputs is not in this stand-in")
    return parameters


def _check_allowed_sizes(source: str, parameters: BatchParameters) -> None:
    sizes = parameters.allowed_sizes
    if sizes and sizes[-1] != parameters.max_batch_size:
        raise ConfigError(
            f"{source}: Last entry in allowed_batch_sizes must match max_batch_size; last entry was {sizes[-1]}; "
            f"expected {parameters.max_batch_size}"
        )
    if list(sizes) != sorted(set(sizes)):
        raise ConfigError(f"{source}: allowed_batch_sizes entries must be monotonically increasing, got {list(sizes)}")
