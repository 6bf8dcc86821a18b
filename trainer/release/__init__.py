"""Releases: whether to publish one, publishing it, and what is published."""
