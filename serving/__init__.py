"""TensorFlow Serving's configuration, and a stand-in for machines where it cannot run: `python -m serving`."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported
