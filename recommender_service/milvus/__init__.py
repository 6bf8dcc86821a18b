"""Searches the movies' vectors in Milvus, in place of memory. Nothing of it is imported unless ANN=milvus."""
