"""Small SavedModels with answers that are plain to see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tensorflow_serving.apis import prediction_log_pb2

from trainer.tensorflow_quietly import tf

NUM_USERS = 10


def save_lookup(folder: Path, scale: float = 1.0) -> None:
    """user_id int64[B] → user_embedding float32[B, 2]: (id, -id) times the scale; ids of 10 and above fail."""
    table = np.stack([np.arange(NUM_USERS), -np.arange(NUM_USERS)], axis=1).astype(np.float32) * scale
    module: Any = tf.Module()
    module.table = tf.Variable(table, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="user_id")])
    def look_up(user_id: Any) -> Any:
        return {"user_embedding": tf.gather(module.table, user_id)}

    module.look_up = look_up
    tf.saved_model.save(module, str(folder), signatures={"serving_default": look_up})


def save_mixed(folder: Path) -> None:
    """Two signatures over several dtypes and two outputs."""
    module: Any = tf.Module()

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int32, name="n"), tf.TensorSpec([None], tf.string, name="s")]
    )
    def repeat(n: Any, s: Any) -> Any:
        return {"text": tf.strings.join([s, tf.strings.as_string(n)]), "positive": n > 0}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float64, name="x")])
    def half(x: Any) -> Any:
        return {"y": x * 0.5}

    module.repeat, module.half = repeat, half
    tf.saved_model.save(module, str(folder), signatures={"serving_default": repeat, "half": half})


def write_warmup(folder: Path, *records: bytes) -> None:
    """Puts the records where TensorFlow Serving looks for warm-up requests."""
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def warmup_record(user_id: int) -> bytes:
    """A Predict of one id."""
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "lookup"
    request.inputs["user_id"].CopyFrom(tf.make_tensor_proto([user_id], tf.int64))
    serialized: bytes = log.SerializeToString()
    return serialized
