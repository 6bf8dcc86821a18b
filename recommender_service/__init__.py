"""The gRPC service: user id → embedding (model server) → neighbours (Annoy) → unwatched titles.

Imports grpc, numpy and annoy, never TensorFlow: importing `tensorflow_serving.apis` alone costs 2.9 s and 703 MB.
"""
