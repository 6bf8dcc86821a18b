"""TensorFlow Serving's configuration, and a stand-in for machines where it cannot run: `python -m serving`."""
