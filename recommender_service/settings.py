"""Settings, read from the environment once, at start-up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class SettingsError(ValueError):
    """A variable holds something else than expected; the message names it."""


def _address(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not (separator and host and port.isdecimal() and int(port) < 65536):
        raise ValueError("host:port")
    return text


def _at_least(lowest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < lowest:
            raise ValueError(f"a whole number of at least {lowest}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError("a number of seconds")
    return seconds


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


def _level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("DEBUG, INFO, WARNING or ERROR")
    return text.upper()


@dataclass(frozen=True)
class Settings:
    """Each field is read from the variable of the same name in capitals."""

    listen_address: str = "0.0.0.0:50051"
    """host:port to serve on; port 0 takes a free one, which the log names."""

    workers: int = 1
    """Processes that share the port, one per core to use; each holds its own cache and bound on calls."""

    releases_dir: Path = Path("artifacts/releases")
    """Folder the trainer publishes releases to; watched every second."""

    tf_serving_address: str = "localhost:8500"
    """host:port of TensorFlow Serving's gRPC API."""

    predict_timeout_ms: int = 500
    """Longest wait for the model server within a call; a caller's own deadline shortens it."""

    degraded_answers: bool = True
    """While the model server cannot be asked: answer from what the user liked (true), or UNAVAILABLE (false)."""

    user_cache_size: int = 10_000
    """User embeddings kept per release, about 1 KB each at 256 dimensions; 0 turns the cache off."""

    max_concurrent_calls: int = 256
    """Calls in progress, most of them waiting for the model server, beyond which new ones get RESOURCE_EXHAUSTED."""

    max_queued_calls: int = 64
    """Calls waiting for the processor beyond which gRPC refuses some, and all beyond twice as many, with CANCELLED.

    It does so before Python sees them, at a tenth of an answer's cost; a refusal from Python would cost half an answer.
    """

    metrics_address: str = ""
    """host:port for Prometheus to scrape, at /metrics; empty for no metrics."""

    shutdown_grace_s: float = 10.0
    """How long calls in progress may take to finish after SIGTERM."""

    log_level: str = "INFO"
    """DEBUG logs every call, INFO those that fail."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises SettingsError naming the variable, what was expected and what it holds."""
        values = {}
        for name, parse in _PARSERS.items():
            variable = name.upper()
            if variable in environment:
                try:
                    values[name] = parse(environment[variable])
                except ValueError as error:
                    raise SettingsError(f"{variable}: expected {error}, got {environment[variable]!r}") from None
        return cls(**values)

    @property
    def logging_level(self) -> int:
        return logging.getLevelNamesMapping()[self.log_level]


_PARSERS: dict[str, Callable[[str], Any]] = {
    "listen_address": _address,
    "workers": _at_least(1),
    "releases_dir": Path,
    "tf_serving_address": _address,
    "predict_timeout_ms": _at_least(1),
    "degraded_answers": _boolean,
    "user_cache_size": _at_least(0),
    "max_concurrent_calls": _at_least(1),
    "max_queued_calls": _at_least(1),
    "metrics_address": lambda text: text and _address(text),
    "shutdown_grace_s": _seconds,
    "log_level": _level,
}
