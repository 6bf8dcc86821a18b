"""Imports TensorFlow without Keras, and without its start-up messages, so that a program prints only what concerns it.

`TF_CPP_MIN_LOG_LEVEL` does not silence the lines that are written before TensorFlow sets up its own logging, nor the
error that it prints on a machine without a GPU when it first looks for one. So file descriptor 2 is redirected
meanwhile. Later errors are printed as always.

TensorFlow imports Keras, and with it matplotlib and scikit-learn where they are installed, which takes as long as the
rest of it. Told to use the Keras of old, `tf_keras`, and not finding it, it imports none.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WHICH_KERAS = "TF_USE_LEGACY_KERAS"
GPU_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))  # of NVIDIA's driver, on Linux and in Windows' subsystem


def load() -> None:
    """Import TensorFlow for the first time in this process. What it prints is shown only if the import fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _redirected(), _without_keras():
        import tensorflow as tf

        if not any(device.exists() for device in GPU_DEVICES):  # where there is a GPU, an error about it matters
            tf.config.list_physical_devices()
    for logger in ("tensorflow", "absl"):  # saving a model warns about internal names of its inputs
        logging.getLogger(logger).setLevel(logging.ERROR)


@contextmanager
def _without_keras() -> Iterator[None]:
    before = os.environ.get(WHICH_KERAS)
    os.environ[WHICH_KERAS] = "1"
    try:
        yield
    finally:  # whoever imports Keras afterwards gets the one they expect
        if before is None:
            del os.environ[WHICH_KERAS]
        else:
            os.environ[WHICH_KERAS] = before


@contextmanager
def _redirected() -> Iterator[None]:
    """Keep what is written to standard error, by C++ too, out of sight; print it if the block fails."""
    with tempfile.TemporaryFile() as hidden:
        stderr = os.dup(2)
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            os.write(stderr, hidden.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
