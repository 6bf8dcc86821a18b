"""Small SavedModels whose answers a reader can check by eye."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.python.data.experimental.ops.testing import sleep
from tensorflow_serving.apis import prediction_log_pb2

from trainer.model.tensorflow_quietly import tf

NUM_USERS = 10
# Quantised dtypes are missing: TensorFlow cannot save a signature with them.
DTYPES = """float32 float64 float16 bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64
    bool string complex64 complex128""".split()


def save_lookup(folder: Path, scale: float = 1.0) -> None:
    """Save a model: user_id int64[B] → user_embedding float32[B, 2], which is (id, -id) × scale.

    Ids of 10 and above, and negative ones, make the call fail.
    """
    table = np.stack([np.arange(NUM_USERS), -np.arange(NUM_USERS)], axis=1).astype(np.float32) * scale
    module: Any = tf.Module()
    module.table = tf.Variable(table, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="user_id")])
    def look_up(user_id: Any) -> Any:
        return {"user_embedding": tf.gather(module.table, user_id)}

    module.look_up = look_up
    tf.saved_model.save(module, str(folder), signatures={"serving_default": look_up})


def save_types(folder: Path) -> None:
    """Save a model with these signatures:

    serving_default: n int32[B], s string[B] → text string[B] (s followed by n), positive bool[B] (n > 0).
    half: x float64 of any shape → y = x / 2.  batch_size: x int64[B] → size int64[B], which is B everywhere.
    same_<dtype>: x of that dtype and any shape → same = x.
    """
    module: Any = tf.Module()

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int32, name="n"), tf.TensorSpec([None], tf.string, name="s")]
    )
    def repeat(n: Any, s: Any) -> Any:
        return {"text": tf.strings.join([s, tf.strings.as_string(n)]), "positive": n > 0}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float64, name="x")])
    def half(x: Any) -> Any:
        return {"y": x * 0.5}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="x")])
    def batch_size(x: Any) -> Any:
        return {"size": tf.zeros_like(x) + tf.size(x, tf.int64)}

    def same(dtype: str) -> Any:
        return tf.function(
            lambda x: {"same": tf.identity(x)}, input_signature=[tf.TensorSpec(None, tf.as_dtype(dtype), name="x")]
        )

    module.repeat, module.half, module.batch_size = repeat, half, batch_size
    module.same = {dtype: same(dtype) for dtype in DTYPES}
    signatures = {"serving_default": repeat, "half": half, "batch_size": batch_size}
    signatures.update({f"same_{dtype}": function for dtype, function in module.same.items()})
    tf.saved_model.save(module, str(folder), signatures=signatures)


def save_wait(folder: Path) -> None:
    """Save a model that takes time: seconds float64 of any shape → waited, of that shape. It waits for the longest.

    When a call starts to wait, the server's log says "waits for" and the seconds.
    """

    def wait(seconds: Any) -> Any:
        with tf.control_dependencies([tf.print("waits for", seconds)]):
            start = tf.timestamp()
        microseconds = tf.cast(tf.reduce_max(seconds) * 1e6, tf.int64)
        elements = tf.data.Dataset.range(1).repeat().apply(sleep(microseconds)).take(1)  # one comes after that time
        with tf.control_dependencies([start]):
            slept = elements.get_single_element()
        with tf.control_dependencies([slept]):
            stop = tf.timestamp()
        return {"waited": tf.zeros_like(seconds) + (stop - start)}

    module: Any = tf.Module()
    module.wait = tf.function(wait, input_signature=[tf.TensorSpec(None, tf.float64, name="seconds")])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.wait})


def save_half_plus_two(folder: Path) -> None:
    """Save a model as TensorFlow 1 did, without functions: x float32 of any shape → y = x / 2 + 2."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, name="x")
        a, b = v1.get_variable("a", initializer=0.5), v1.get_variable("b", initializer=2.0)
        y = tf.add(tf.multiply(a, x), b, name="y")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": y})


def write_warmup(folder: Path, *records: bytes) -> None:
    """Write the records to the file in which TensorFlow Serving looks for warm-up requests."""
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def warmup_record(user_id: int, model: str = "user") -> bytes:
    """A warm-up record with a Predict for one id."""
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = model
    request.inputs["user_id"].CopyFrom(tf.make_tensor_proto([user_id], tf.int64))
    serialized: bytes = log.SerializeToString()
    return serialized
