"""Searches the movies' vectors in Milvus, in place of memory. Nothing of it is imported unless ANN=milvus."""

from __future__ import annotations

import os

# pymilvus reads a variable of the same name when it is imported, and refuses files.
_uri = os.environ.pop("MILVUS_URI", None)
import pymilvus  # noqa: E402, F401

if _uri is not None:
    os.environ["MILVUS_URI"] = _uri
