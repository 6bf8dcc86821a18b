"""Nearest movies: exactly, or through Annoy."""
