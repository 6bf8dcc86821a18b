"""Settings, read from the environment once, at start-up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
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


def _level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("DEBUG, INFO, WARNING or ERROR")
    return text.upper()


def _setting(default: str, parse: Callable[[str], Any]) -> Any:
    return field(default_factory=lambda: parse(default), metadata={"parse": parse})


@dataclass(frozen=True)
class Settings:
    """Each field is read from the variable of the same name in capitals."""

    listen_address: str = _setting("0.0.0.0:50051", _address)
    """host:port to serve on; port 0 takes a free one, which the log names."""

    releases_dir: Path = _setting("artifacts/releases", Path)
    """Folder the trainer publishes releases to; watched every second."""

    tf_serving_address: str = _setting("localhost:8500", _address)
    """host:port of TensorFlow Serving's gRPC API."""

    predict_timeout_ms: int = _setting("1000", _at_least(1))
    """Longest wait for the model server within a call; a caller's own deadline shortens it."""

    user_cache_size: int = _setting("10000", _at_least(0))
    """User embeddings kept per release, about 1 KB each at 256 dimensions; 0 turns the cache off."""

    max_concurrent_calls: int = _setting("256", _at_least(1))
    """Calls in progress beyond which new ones are refused with RESOURCE_EXHAUSTED, rather than queued."""

    shutdown_grace_s: float = _setting("10", _seconds)
    """How long calls in progress may take to finish after SIGTERM."""

    log_level: str = _setting("INFO", _level)
    """DEBUG logs every call, INFO those that fail."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises SettingsError naming the variable, what was expected and what it holds."""
        values = {}
        for setting in fields(cls):
            variable = setting.name.upper()
            if variable in environment:
                try:
                    values[setting.name] = setting.metadata["parse"](environment[variable])
                except ValueError as error:
                    raise SettingsError(f"{variable}: expected {error}, got {environment[variable]!r}") from None
        return cls(**values)

    @property
    def logging_level(self) -> int:
        return logging.getLevelNamesMapping()[self.log_level]
