"""Imports TensorFlow without its start-up messages, so that a run prints only what concerns it.

`TF_CPP_MIN_LOG_LEVEL` does not silence the lines that are written before TensorFlow sets up its own logging. So this
module redirects file descriptor 2 during the import, and prints what was redirected if the import fails.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

with tempfile.TemporaryFile() as redirected:
    stderr = os.dup(2)
    os.dup2(redirected.fileno(), 2)
    try:
        import keras
        import tensorflow as tf
    except BaseException:
        redirected.seek(0)
        os.write(stderr, redirected.read())
        raise
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)

for logger in ("tensorflow", "absl"):  # saving a model warns about internal names of its inputs
    logging.getLogger(logger).setLevel(logging.ERROR)

__all__ = ["keras", "tf"]
