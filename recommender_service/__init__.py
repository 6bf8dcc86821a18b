"""The gRPC service: user id → embedding (model server) → neighbours (Annoy) → unwatched titles.

It never imports TensorFlow or its clients, which would cost seconds at start and hundreds of megabytes per worker.
"""

import os

# A process serves on one core. Its products are so short that BLAS threads would spend more time waiting than working.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # OpenBLAS reads it when numpy is imported
