"""The gRPC service: user id → embedding (model server) → neighbours (Annoy) → unwatched titles.

Imports grpc, numpy and annoy, never TensorFlow: importing `tensorflow_serving.apis` alone costs 2.9 s and 703 MB.
"""

import os

# One process serves on one core: BLAS threads would spin on the others for products that take 0.1 ms.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
