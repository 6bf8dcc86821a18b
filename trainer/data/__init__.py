"""Ratings and movies: found, read, checked, and turned into matrices."""
