"""Releases in object storage: a bucket that the trainer publishes to, and local folders that follow it."""
