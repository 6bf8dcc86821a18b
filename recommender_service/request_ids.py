"""Request ids: by what name a caller and the log call the same call.

Only calls that fail, and those that LOG_LEVEL=DEBUG logs, are given one. A call that is answered and not logged needs
none, and reading the metadata of every call would cost it something.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from grpc import aio

HEADER = "x-request-id"
ALLOWED = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")  # goes into the log and into trailers as it is


def request_id(context: aio.ServicerContext[Any, Any]) -> str:
    """The id that the caller sent; a new one if there is none, or if it is not of the allowed form."""
    for key, value in context.invocation_metadata() or ():
        if key == HEADER and ALLOWED.fullmatch(str(value)):
            return str(value)
    return secrets.token_hex(8)
