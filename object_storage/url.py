"""The setting ARTIFACTS."""

from __future__ import annotations

import re
from importlib.util import find_spec

SETTING = "ARTIFACTS"
URLS = re.compile(r"(?:s3|gs)://[^/@?#\s]+(?:/[^@?#]*)?|file:///[^@?#]+")  # credentials have no place in it
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "file": "fsspec"}


def artifacts_url(text: str) -> str:
    """Check the URL of a bucket and return it without a slash at its end; empty stands for none.

    Raises ValueError, whose message says what was expected.
    """
    if not text:
        return text
    if not URLS.fullmatch(text):
        raise ValueError("s3://bucket/prefix, gs://bucket/prefix or file:///folder, without credentials")
    package = PACKAGES[text.partition(":")[0]]
    if find_spec(package) is None:
        raise ValueError(f"none, because {package} is not installed")
    return text.rstrip("/")
