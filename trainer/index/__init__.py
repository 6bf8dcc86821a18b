"""The nearest movies, by an exact scan or through an Annoy index."""
