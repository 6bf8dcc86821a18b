"""The command line: TensorFlow Serving's flags, with its names and defaults.

Some of them have no effect in the stand-in; it names those in the log.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

# Flags of TensorFlow Serving for features that the stand-in lacks, or that callers cannot see.
WITHOUT_EFFECT = (
    "enable_per_model_batching_parameters",
    "enable_profiler",
    "enable_signature_method_name_check",
    "flush_filesystem_caches",
    "mixed_precision",
    "num_load_threads",
    "num_tflite_interpreters_per_pool",
    "num_tflite_pools",
    "num_unload_threads",
    "per_process_gpu_memory_fraction",
    "platform_config_file",
    "prefer_tflite_model",
    "remove_unused_fields_from_bundle_metagraph",
    "rest_api_enable_cors_support",
    "rest_api_num_threads",
    "rest_api_timeout_in_ms",
    "skip_initialize_tpu",
    "tensorflow_session_config_file",
    "thread_pool_factory_config_file",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
)
SWITCHES = {
    "enable_batching": False,
    "enable_model_warmup": True,
    "allow_version_labels_for_unavailable_models": False,
    "enable_serialization_as_tensor_content": False,
    "enable_grpc_healthcheck_service": False,
    "use_alts_credentials": False,
    "version": False,
}
EXIT_STATUS = 255  # TensorFlow Serving returns -1, of which the shell sees 255


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"error: {message}", file=sys.stderr)
        sys.exit(EXIT_STATUS)


def parse_flags(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """(flags, complaints).  A bad value ends the process with one line and status 255.

    complaints: one text for each argument that has no effect or is unknown. The real server goes on after those, too.
    """
    parser = _Parser(prog="python -m serving", allow_abbrev=False, description=__doc__)
    _add_flags(parser)
    if "--help" in argv:
        parser.print_help()
        sys.exit(0)
    understood, complaints = [], []
    known = {option.removeprefix("--") for option in parser._option_string_actions}
    for argument in argv:
        name, equals, _ = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and name in WITHOUT_EFFECT:
            complaints.append(f"without effect in this stand-in: --{name}")
        elif argument.startswith("--") and name in known and (equals or name in SWITCHES):
            understood.append(argument)
        else:  # TensorFlow Serving knows `--port=8500`, but not `--port 8500`
            complaints.append(f"unknown argument: {argument}")
    flags = parser.parse_args(understood)
    if flags.use_alts_credentials:
        parser.error("--use_alts_credentials is not in this stand-in")
    if not flags.model_config_file and not flags.model_base_path and not flags.version:
        parser.error("expected --model_base_path or --model_config_file")
    separate = flags.tensorflow_intra_op_parallelism > 0 and flags.tensorflow_inter_op_parallelism > 0
    if separate and flags.tensorflow_session_parallelism > 0:
        parser.error(
            "expected --tensorflow_session_parallelism, or --tensorflow_intra_op_parallelism and "
            "--tensorflow_inter_op_parallelism, got all three"
        )
    return flags, complaints


def _add_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="interface to listen on; the real server listens on all of them")
    port = _whole_number(0, 65535)
    add("--port", type=port, default=8500, help="gRPC port; 0 picks a free one (the real server: no gRPC)")
    add("--grpc_socket_path", default="", help="a UNIX socket that serves gRPC too")
    add("--rest_api_port", type=port, default=0, help="port of REST and metrics; 0 for none")
    add("--monitoring_config_file", default="", help="text proto MonitoringConfig; needs --rest_api_port")
    add("--ssl_config_file", default="", help="text proto SSLConfig: TLS for gRPC")
    add("--batching_parameters_file", default="", help="text proto BatchingParameters; needs --enable_batching")
    add("--model_name", default="default")
    add("--model_base_path", default="")
    add("--model_config_file", default="", help="text proto ModelServerConfig; name and base path are then ignored")
    add("--model_config_file_poll_wait_seconds", type=_poll_wait, default=0.0, help="0 reads the file only once")
    add("--saved_model_tags", default="serve", help="comma-separated")
    poll_help = "0 looks only once; may be a fraction, unlike the real server's"
    add("--file_system_poll_wait_seconds", type=_poll_wait, default=1.0, help=poll_help)
    add("--max_num_load_retries", type=_whole_number(0), default=5)
    add("--load_retry_interval_micros", type=int, default=60_000_000)
    add(
        "--num_request_iterations_for_warmup",
        type=int,
        default=0,
        help="runs of each warm-up request; 0 means one",
    )
    threads = 4 * (os.cpu_count() or 1)
    add(
        "--grpc_max_threads",
        type=_whole_number(1),
        default=threads,
        help="calls beyond get RESOURCE_EXHAUSTED",
    )
    add("--grpc_channel_arguments", type=_channel_arguments, default=[], help="key=value, comma-separated")
    for name in ("session", "intra_op", "inter_op"):
        add(f"--tensorflow_{name}_parallelism", type=_whole_number(0), default=0, help="threads; 0 for automatic")
    for name, default in SWITCHES.items():
        add(f"--{name}", type=_boolean, nargs="?", const=True, default=default)


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


def _channel_arguments(text: str) -> list[tuple[str, int | str]]:
    """The key=value pairs in a text. As in TensorFlow Serving, a value that is a whole number becomes an int."""
    pairs = [argument.partition("=") for argument in text.split(",") if argument]
    if not all(equals for _, equals, _ in pairs):
        raise argparse.ArgumentTypeError(f"expected key=value, comma-separated, got {text!r}")
    return [(key, int(value) if re.fullmatch("-?[0-9]+", value) else value) for key, _, value in pairs]
