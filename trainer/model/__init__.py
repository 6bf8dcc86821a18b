"""The model: embeddings learnt from interactions, and the SavedModel that serves them."""
