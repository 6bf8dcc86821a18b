"""A table of embeddings that is updated row by row, so that a step costs as much as the rows it uses."""

from __future__ import annotations

import numpy as np

from trainer.model.tensorflow_quietly import tf

FIRST_DECAY, SECOND_DECAY = 0.9, 0.999  # Adam's own defaults
TINY = 1e-7


class RowAdam(tf.Module):
    """A table float32[n, d] with the state of Adam (Kingma & Ba 2015), kept for each row by itself.

    It differs from Adam in two ways. Only the rows that a step used are updated, and each row counts its own updates.
    And the second moment is one number per row, the mean over the row's components. A row then turns at the same rate
    in any direction, whatever the axes are, and the state takes half the memory.
    """

    def __init__(self, start: np.ndarray) -> None:
        """Start at float32[n, d]."""
        super().__init__()
        self.table = tf.Variable(start, trainable=False)
        self.first = tf.Variable(tf.zeros_like(start), trainable=False)
        self.second = tf.Variable(tf.zeros(len(start)), trainable=False)
        self.updates = tf.Variable(tf.zeros(len(start)), trainable=False)

    def rows(self, rows: tf.Tensor) -> tf.Tensor:
        """Return float32[n, d].  rows: int32[n]."""
        return tf.gather(self.table, rows)

    def update(self, rows: tf.Tensor, gradient: tf.Tensor, learning_rate: tf.Tensor) -> None:
        """Take one step.  rows: int32[n], each at most once.  gradient: float32[n, d]."""
        updates = tf.gather(self.updates, rows) + 1.0
        first = FIRST_DECAY * tf.gather(self.first, rows) + (1 - FIRST_DECAY) * gradient
        square = tf.reduce_mean(tf.square(gradient), axis=1)
        second = SECOND_DECAY * tf.gather(self.second, rows) + (1 - SECOND_DECAY) * square
        length = tf.sqrt(second / (1.0 - SECOND_DECAY**updates)) + TINY
        rate = learning_rate / ((1.0 - FIRST_DECAY**updates) * length)  # float32[n]
        self.updates.scatter_update(tf.IndexedSlices(updates, rows))
        self.first.scatter_update(tf.IndexedSlices(first, rows))
        self.second.scatter_update(tf.IndexedSlices(second, rows))
        self.table.scatter_sub(tf.IndexedSlices(rate[:, None] * first, rows))

    @property
    def state(self) -> dict[str, tf.Variable]:
        """Everything that a later step depends on, by name."""
        return {"table": self.table, "first": self.first, "second": self.second, "updates": self.updates}
