"""Calls of the REST API."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


def call(url: str, body: Any = None) -> tuple[int, Any]:
    """(HTTP status, JSON, or None for an empty response)

    body: None makes it a GET. Bytes are POSTed as they are, anything else as JSON.
    """
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as response:
            status, content = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, content = error.code, error.read()
    return status, json.loads(content) if content else None


def rows(*values: Any, signature: str = "") -> dict[str, Any]:
    """The body of a predict by row."""
    return {"signature_name": signature, "instances": list(values)}
