"""Logs for `tensorboard --logdir reports/<version>-tensorboard`: losses, metrics, and the embeddings in its projector.

They are written without TensorBoard, which is needed only to look at them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from trainer.model.tensorflow_quietly import tf


def write_tensorboard(
    folder: Path, losses: Sequence[float], metrics: Mapping[str, float], embeddings: np.ndarray, movies: pd.DataFrame
) -> None:
    """Write the logs in place of those that are in the folder.

    losses: one per epoch.  metrics: after the last epoch, by name.  embeddings: float32[num_trained_movies, d].
    movies: title, genres and year of these movies, in row order.
    """
    folder.mkdir(exist_ok=True)
    for old in folder.glob("events.out.tfevents.*"):  # TensorBoard would show the old events beside the new ones
        old.unlink()
    with tf.io.TFRecordWriter(str(folder / f"events.out.tfevents.{int(time.time())}")) as writer:
        writer.write(_event(file_version="brain.Event:2").SerializeToString())
        scalars = [("loss per liked movie", epoch, loss) for epoch, loss in enumerate(losses, start=1)]
        scalars += [(name.replace("@", "_at_"), len(losses), value) for name, value in metrics.items()]
        for tag, step, value in scalars:
            summary = tf.compat.v1.Summary(value=[tf.compat.v1.Summary.Value(tag=tag, simple_value=value)])
            writer.write(_event(step=step, summary=summary).SerializeToString())
    np.savetxt(folder / "embeddings.tsv", embeddings, delimiter="\t", fmt="%.5f")
    movies[["title", "genres", "year"]].to_csv(folder / "metadata.tsv", sep="\t", index=False)
    (folder / "projector_config.pbtxt").write_text(
        'embeddings {\n  tensor_path: "embeddings.tsv"\n  metadata_path: "metadata.tsv"\n}\n', encoding="utf-8"
    )


def _event(**fields: object) -> tf.compat.v1.Event:
    return tf.compat.v1.Event(wall_time=time.time(), **fields)
