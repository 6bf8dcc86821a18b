"""Imports TensorFlow without its start-up chatter, so that what a run prints is about the run.

`TF_CPP_MIN_LOG_LEVEL` does not reach the lines written before TensorFlow's own logging is set up, so file descriptor 2
is diverted during the import; what was diverted is shown if the import fails.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

with tempfile.TemporaryFile() as diverted:
    stderr = os.dup(2)
    os.dup2(diverted.fileno(), 2)
    try:
        import keras
        import tensorflow as tf
    except BaseException:
        diverted.seek(0)
        os.write(stderr, diverted.read())
        raise
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)

for logger in ("tensorflow", "absl"):  # saving a model warns about names of inputs that nobody sees
    logging.getLogger(logger).setLevel(logging.ERROR)

__all__ = ["keras", "tf"]
