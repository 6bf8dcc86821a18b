"""Replays `assets.extra/tf_serving_warmup_requests`, so that the first caller does not pay for lazy initialisation."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from grpc import StatusCode
from tensorflow_serving.apis import prediction_log_pb2

from serving.servable import Servable
from serving.status import StatusError

FILE = Path("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000


def warm_up(servable: Servable, folder: Path) -> int:
    """The number of requests sent; 0 without a file.  Raises StatusError or tf.errors.OpError for a bad one."""
    path = folder / FILE
    if not path.is_file():
        return 0
    count = 0
    for record in tf.compat.v1.io.tf_record_iterator(str(path)):
        count += 1
        if count > MAX_RECORDS:
            raise StatusError(
                StatusCode.INVALID_ARGUMENT, f"Number of warmup records exceeds the maximum ({MAX_RECORDS}): {path}"
            )
        log = prediction_log_pb2.PredictionLog()
        try:
            log.ParseFromString(record)
        except DecodeError as error:
            raise StatusError(
                StatusCode.INVALID_ARGUMENT, f"Failed to parse warmup record {count} of {path}"
            ) from error
        kind = log.WhichOneof("log_type")
        if kind == "predict_log":
            servable.predict(log.predict_log.request)
        elif kind is not None:
            raise StatusError(StatusCode.UNIMPLEMENTED, f"warmup record {count} of {path}: {kind} is not supported")
    return count
