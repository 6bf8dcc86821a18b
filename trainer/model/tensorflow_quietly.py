"""TensorFlow. Whoever imports it from here is spared its start-up messages, and waits half as long."""

from __future__ import annotations

from console.tensorflow_quietly import load

load()

import tensorflow as tf  # noqa: E402

__all__ = ["tf"]
