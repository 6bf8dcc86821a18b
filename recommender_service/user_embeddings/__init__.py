"""Users' embeddings: a cache in front of micro-batched calls of the model server, guarded by a circuit breaker."""
