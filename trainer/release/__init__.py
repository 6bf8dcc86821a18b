"""Releases: the gate before one is published, publishing it, and the catalogue of published ones."""
