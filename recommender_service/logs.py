"""Logging as one JSON object per line on standard error."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recommender_service.errors import ServiceError

log = logging.getLogger(__name__)


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON. The message names the event, and `extra={"fields": {…}}` adds fields to it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
            **({"trace_id": record.trace_id} if hasattr(record, "trace_id") else {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(level: int) -> None:
    """Format every log record of the process with JsonFormatter, and drop those below the level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # grpc.aio logs a traceback for every aborted call, but aborting a call is how we answer with an error.
    logging.getLogger("grpc._cython.cygrpc").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def silence(package: str) -> None:
    """Drop what a package logs, such as a traceback for each error that it also raises."""
    for name in (package, *(name for name in logging.Logger.manager.loggerDict if name.startswith(f"{package}."))):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class RefusalLog:
    """Logs refused calls, at most once a second, because a line for each would add to an overload."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._unlogged, self._log_at = 0, 0.0

    def add(self, rpc: str, error: ServiceError, **fields: str) -> None:
        """Count a refused call, and log it with the number of those since the last line."""
        self._unlogged += 1
        if time.monotonic() >= self._log_at:
            shown = {"rpc": rpc, "code": error.code.name, "refused": self._unlogged, "message": str(error), **fields}
            log.warning(self._event, extra={"fields": shown})
            self._unlogged, self._log_at = 0, time.monotonic() + 1
