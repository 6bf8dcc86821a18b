"""TensorFlow and Keras. Whoever imports them from here is spared their start-up messages."""

from __future__ import annotations

from console.tensorflow_quietly import load

load()

import keras  # noqa: E402, after TensorFlow, which it imports
import tensorflow as tf  # noqa: E402

__all__ = ["keras", "tf"]
