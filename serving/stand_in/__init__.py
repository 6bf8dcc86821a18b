"""A stand-in for TensorFlow Serving: its gRPC and REST API over TensorFlow's Python runtime."""
