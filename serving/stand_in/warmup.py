"""Replaying the warm-up requests in a version's `assets.extra/tf_serving_warmup_requests`.

TensorFlow initialises much at the first run of a graph; after a warm-up, the first caller does not wait for that.
"""

from __future__ import annotations

import logging
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from grpc import StatusCode
from tensorflow_serving.apis import prediction_log_pb2

from serving.stand_in.loaded_version import LoadedVersion
from serving.stand_in.status import StatusError, invalid_argument, text_of

log = logging.getLogger(__name__)

FILE = Path("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000
NOT_SERVED_HERE = ("classify_log", "regress_log", "multi_inference_log")


def warm_up(version: LoadedVersion, folder: Path, iterations: int) -> int:
    """Replay every record `iterations` times and return the number of records, 0 if there is no file.

    Raises StatusError for a bad record or file, with the real server's code.
    """
    path = folder / FILE
    if not path.is_file():
        return 0
    count = 0
    try:
        for record in tf.compat.v1.io.tf_record_iterator(str(path)):
            _replay(version, record, path, iterations)
            count += 1
            if count > MAX_RECORDS:
                raise invalid_argument(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
    except tf.errors.DataLossError as error:
        raise StatusError(
            StatusCode.DATA_LOSS, f"{error.message}. Please verify your warmup data is in TFRecord format."
        ) from error
    return count


def _replay(version: LoadedVersion, record: bytes, path: Path, iterations: int) -> None:
    prediction = prediction_log_pb2.PredictionLog()
    try:
        prediction.ParseFromString(record)
    except DecodeError as error:
        raise invalid_argument(f"Failed to parse warmup record: {text_of(record)} from {path}") from error
    kind = prediction.WhichOneof("log_type")
    if kind == "predict_log":
        for _ in range(iterations):
            version.predict(prediction.predict_log.request)
    elif kind in NOT_SERVED_HERE:
        log.warning("%s: skipped a warm-up record of kind %s, which only the real server can replay", path, kind)
    elif kind is not None:
        raise StatusError(StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")
