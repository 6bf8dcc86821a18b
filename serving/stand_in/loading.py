"""Loading and warming up one version, with as many retries as the flags allow."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from grpc import StatusCode

from serving.stand_in.graph_file import why_unreadable
from serving.stand_in.loaded_version import LoadedVersion, VersionOptions
from serving.stand_in.status import StatusError
from serving.stand_in.warmup import warm_up

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadOptions:
    """How to load versions; the values come from TensorFlow Serving's flags.

    retry_interval_s: below 0 means no wait.  on_warmed_up: called after every warm-up, with the version's folder, the
    outcome and the duration in microseconds.
    """

    max_num_retries: int
    retry_interval_s: float
    warm_up: bool
    warm_up_iterations: int
    version: VersionOptions
    on_warmed_up: Callable[[str, StatusCode, float], None] = lambda folder, code, microseconds: None


class LoadFailed(Exception):
    """A version could not be loaded.  code: the number of a gRPC status code.  message: may hold bytes of a damaged
    file, as `status.text_of` gives them."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def load(model_name: str, number: int, folder: Path, options: LoadOptions, stopping: threading.Event) -> LoadedVersion:
    """Load a version from its folder, and warm it up.

    Raises LoadFailed, with the last attempt's error, when no retries are left or `stopping` is set.
    """
    for retries_left in range(options.max_num_retries, -1, -1):
        started = time.monotonic()
        try:
            version = LoadedVersion(model_name, number, folder, options.version)
            warmup_records = _warm_up(version, folder, options) if options.warm_up else 0
        except Exception as error:  # a broken SavedModel makes TensorFlow raise exceptions of many classes
            failure = _explain(error, folder)
            log.error("cannot load %s version %d, %d retries left: %s", model_name, number, retries_left, failure)
        else:
            log.info(
                "Successfully loaded servable version {name: %s version: %d} in %.1f s, warm-up records: %d",
                model_name,
                number,
                time.monotonic() - started,
                warmup_records,
            )
            return version
        if retries_left and stopping.wait(max(options.retry_interval_s, 0.0)):
            break
    raise failure


def _warm_up(version: LoadedVersion, folder: Path, options: LoadOptions) -> int:
    started, code = time.perf_counter(), StatusCode.OK
    try:
        return warm_up(version, folder, options.warm_up_iterations)
    except StatusError as error:
        code = error.code
        raise
    finally:
        options.on_warmed_up(str(folder), code, (time.perf_counter() - started) * 1e6)


def _explain(error: Exception, folder: Path) -> LoadFailed:
    """The failure with the code that the real server gives it, UNKNOWN where TensorFlow's exception does not tell."""
    if isinstance(error, StatusError):
        return LoadFailed(error.code.value[0], str(error))
    if isinstance(error, tf.errors.OpError):
        return LoadFailed(error.error_code, error.message)
    if isinstance(error, OSError):  # the loader raises it for the graph's file
        code, message = why_unreadable(folder)
        return LoadFailed(code.value[0], message)
    return LoadFailed(StatusCode.UNKNOWN.value[0], f"{folder}: {error}")
