"""The parameters of server-side batching: --enable_batching and --batching_parameters_file."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass

from protos.tfserving.v1.batching_parameters_pb2 import BatchingParameters
from serving.stand_in.model_config import ConfigError, read_text_proto


@dataclass(frozen=True)
class Batching:
    """max_batch_size: rows of a batch and of a request.  timeout_s: how long a batch waits for more of them.
    max_enqueued_batches: beyond them requests are refused.  allowed_sizes: to pad to, ascending; empty: do not pad."""

    max_batch_size: int
    timeout_s: float
    max_enqueued_batches: int
    num_threads: int
    allowed_sizes: tuple[int, ...]

    def padded(self, size: int) -> int:
        return next((allowed for allowed in self.allowed_sizes if allowed >= size), size)


def batching_of(flags: argparse.Namespace) -> Batching | None:
    """None if batching is off.  Raises ConfigError for what the real server would not start with."""
    if not flags.enable_batching:
        if flags.batching_parameters_file:
            raise ConfigError("--batching_parameters_file is set without --enable_batching")
        return None
    source = flags.batching_parameters_file
    parameters = read_text_proto(source, BatchingParameters) if source else BatchingParameters()

    def number(name: str, default: int, least: int) -> int:
        value = int(getattr(parameters, name).value) if parameters.HasField(name) else default
        if value < least:
            raise ConfigError(f"{source}: {name}: expected at least {least}, got {value}")
        return value

    # the defaults are TensorFlow Serving's
    batching = Batching(
        max_batch_size=number("max_batch_size", 1000, least=1),
        timeout_s=number("batch_timeout_micros", 0, least=0) / 1e6,
        max_enqueued_batches=max(number("max_enqueued_batches", 10, least=0), 1),  # 0 means 1 there
        num_threads=number("num_batch_threads", os.cpu_count() or 1, least=1),
        allowed_sizes=tuple(parameters.allowed_batch_sizes),
    )
    sizes = batching.allowed_sizes
    if sizes and sizes[-1] != batching.max_batch_size:
        raise ConfigError(
            f"{source}: Last entry in allowed_batch_sizes must match max_batch_size; last entry was {sizes[-1]}; "
            f"expected {batching.max_batch_size}"
        )
    if list(sizes) != sorted(set(sizes)):
        raise ConfigError(f"{source}: allowed_batch_sizes entries must be monotonically increasing, got {list(sizes)}")
    if parameters.pad_variable_length_inputs:
        raise ConfigError(f"{source}: pad_variable_length_inputs is not in this stand-in")
    return batching
