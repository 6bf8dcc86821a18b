"""Loads and warms up one version, as often as the flags allow."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from grpc import StatusCode

from serving.stand_in.loaded_version import Servable, ServableOptions
from serving.stand_in.status import StatusError
from serving.stand_in.warmup import warm_up

log = logging.getLogger(__name__)

GRAPH_FILES = ("saved_model.pb", "saved_model.pbtxt")


@dataclass(frozen=True)
class LoadOptions:
    """TensorFlow Serving's flags of the same names; a negative interval does not wait.

    on_warmed_up: is told the version's folder, the outcome and the microseconds of every warm-up.
    """

    max_num_retries: int
    retry_interval_s: float
    warm_up: bool
    warm_up_iterations: int
    servable: ServableOptions
    on_warmed_up: Callable[[str, StatusCode, float], None] = lambda folder, code, microseconds: None


class LoadFailed(Exception):
    """The last attempt's error: `code`, numeric, and a message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def load(name: str, version: int, folder: Path, options: LoadOptions, stopping: threading.Event) -> Servable:
    """Tries, and retries after a pause each.  Raises LoadFailed when no retries are left, or if `stopping` is set."""
    for retries_left in range(options.max_num_retries, -1, -1):
        started = time.monotonic()
        try:
            servable = Servable(name, version, folder, options.servable)
            warmup_records = _warm_up(servable, folder, options) if options.warm_up else 0
        except Exception as error:  # there is no end to what a broken SavedModel makes TensorFlow raise
            failure = _explain(error, folder)
            log.error("cannot load %s version %d, %d retries left: %s", name, version, retries_left, failure)
        else:
            log.info(
                "Successfully loaded servable version {name: %s version: %d} in %.1f s, warm-up records: %d",
                name,
                version,
                time.monotonic() - started,
                warmup_records,
            )
            return servable
        if retries_left and stopping.wait(max(options.retry_interval_s, 0.0)):
            break
    raise failure


def _warm_up(servable: Servable, folder: Path, options: LoadOptions) -> int:
    started, code = time.perf_counter(), StatusCode.OK
    try:
        return warm_up(servable, folder, options.warm_up_iterations)
    except StatusError as error:
        code = error.code
        raise
    finally:
        options.on_warmed_up(str(folder), code, (time.perf_counter() - started) * 1e6)


def _explain(error: Exception, folder: Path) -> LoadFailed:
    """With the code that the real server has for it, as far as it can be told."""
    if isinstance(error, StatusError):
        return LoadFailed(error.code.value[0], error.message)
    if isinstance(error, tf.errors.OpError):
        return LoadFailed(error.error_code, error.message)
    code = StatusCode.UNKNOWN
    if isinstance(error, OSError):  # the loader's own, for the graph's file
        code = StatusCode.DATA_LOSS if any((folder / name).exists() for name in GRAPH_FILES) else StatusCode.NOT_FOUND
    return LoadFailed(code.value[0], f"{folder}: {error}")
