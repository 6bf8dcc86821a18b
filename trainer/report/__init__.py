"""The HTML page about a release, and its logs for TensorBoard."""
