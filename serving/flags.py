"""TensorFlow Serving's flags, by its names and defaults, as far as the stand-in honours or tolerates them."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn

# Flags of TensorFlow Serving that change nothing a caller of the stand-in could see, or that it lacks.
WITHOUT_EFFECT = (
    "rest_api_num_threads",
    "rest_api_timeout_in_ms",
    "enable_batching",
    "batching_parameters_file",
    "tensorflow_session_parallelism",
    "tensorflow_intra_op_parallelism",
    "tensorflow_inter_op_parallelism",
    "num_load_threads",
    "num_unload_threads",
    "flush_filesystem_caches",
    "model_config_file_poll_wait_seconds",
    "grpc_channel_arguments",
    "platform_config_file",
    "per_process_gpu_memory_fraction",
    "saved_model_tags",
    "enable_signature_method_name_check",
    "xla_cpu_compilation_enabled",
    "enable_profiler",
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"error: {message}", file=sys.stderr)
        sys.exit(255)  # what TensorFlow Serving's -1 becomes


def parse_flags(argv: list[str]) -> argparse.Namespace:
    """Ends the process with one line and status 255 for an unknown flag or a bad value."""
    parser = _Parser(prog="python -m serving", allow_abbrev=False, description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="interface to listen on; the real server always takes all of them")
    add(
        "--port",
        type=_whole_number(0, 65535),
        default=8500,
        help="gRPC port; 0 takes a free one (the real server: no gRPC at all)",
    )
    add("--rest_api_port", type=_whole_number(0, 65535), default=0, help="REST and metrics; 0 for none")
    add("--monitoring_config_file", default="", help="text proto MonitoringConfig; needs --rest_api_port")
    add("--model_name", default="default")
    add("--model_base_path", default="")
    add("--model_config_file", default="", help="text proto ModelServerConfig; name and base path are then ignored")
    add(
        "--file_system_poll_wait_seconds",
        type=_poll_wait,
        default=1.0,
        help="0 looks only once; may be a fraction here",
    )
    add("--max_num_load_retries", type=_whole_number(0), default=5)
    add("--load_retry_interval_micros", type=int, default=60_000_000)
    threads = 4 * (os.cpu_count() or 1)
    add("--grpc_max_threads", type=_whole_number(1), default=threads, help="calls beyond: RESOURCE_EXHAUSTED")
    for name, default in (
        ("enable_model_warmup", True),
        ("allow_version_labels_for_unavailable_models", False),
        ("enable_serialization_as_tensor_content", False),
        ("enable_grpc_healthcheck_service", False),
    ):
        add(f"--{name}", type=_boolean, nargs="?", const=True, default=default)
    for name in WITHOUT_EFFECT:
        add(f"--{name}", nargs="?", help=argparse.SUPPRESS)
    flags, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.error(f"unknown argument: {unknown[0]}")
    if not flags.model_config_file and not flags.model_base_path:
        parser.error("expected --model_base_path or --model_config_file")
    return flags


def ignored_flags(argv: list[str]) -> list[str]:
    """Those on the command line that have no effect."""
    names = (argument.removeprefix("--").partition("=")[0] for argument in argv if argument.startswith("--"))
    return [name for name in names if name in WITHOUT_EFFECT]


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")
    return text.lower() in ("true", "1")


def _whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]+", text) or int(text) < least or (most is not None and int(text) > most):
            bounds = f"from {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"expected a whole number {bounds}, got {text!r}")
        return int(text)

    return parse


def _poll_wait(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more, got {text!r}")
    return seconds
