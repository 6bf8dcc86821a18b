"""The service's settings, read from environment variables once, at start-up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from protos.release.v1.signature import read_keys


class SettingsError(ValueError):
    """A variable holds a wrong value. The message names the variable, what was expected and what it holds."""


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


def _key_file(text: str) -> Path | None:
    if not text:
        return None
    try:
        read_keys(Path(text))
    except (OSError, ValueError) as error:
        raise ValueError(f"a file with keys ({error})") from error
    return Path(text)


def _collector(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("a URL such as http://localhost:4317")
    if text and find_spec("opentelemetry") is None:
        raise ValueError("a service that is installed with its extra `tracing`")
    return text


def _level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("DEBUG, INFO, WARNING or ERROR")
    return text.upper()


@dataclass(frozen=True)
class Settings:
    """Each field is read from the variable of the same name in capitals."""

    listen_address: str = "0.0.0.0:50051"
    """host:port to serve on. Port 0 stands for any free port; the log names the one taken."""

    workers: int = 1
    """Number of processes that share the port. Use one per core; each has a cache and a bound on calls of its own."""

    releases_dir: Path = Path("artifacts/releases")
    """Folder to which the trainer publishes releases. The service looks into it every second."""

    verify_key_file: Path | None = None
    """File with the keys, one per line, one of which must have signed a release. Empty takes unsigned releases too."""

    tf_serving_address: str = "localhost:8500"
    """host:port of TensorFlow Serving's gRPC API, or of several servers; model_server_channel.py says how."""

    predict_timeout_ms: int = 500
    """Longest time that a call waits for the model server. The caller's deadline may shorten it."""

    degraded_answers: bool = True
    """While the model server cannot be asked, Recommend answers from the liked movies alone (true) or fails (false)."""

    user_cache_size: int = 10_000
    """How many embeddings of known users to keep, and as many of fold-ins; four bytes per dimension. 0 keeps none."""

    max_concurrent_calls: int = 256
    """Most calls in progress; nearly all of them wait for the model server. Further calls get RESOURCE_EXHAUSTED."""

    max_queued_calls: int = 64
    """Most calls that may wait for the processor. Of further calls, some get CANCELLED; beyond twice as many, all do.

    gRPC refuses them before Python sees them, which costs far less than a refusal by our own code.
    """

    max_connection_age_s: float = 300.0
    """After this time, give or take a tenth, a client must connect anew, by which clients spread over workers and
    replicas. Calls in progress may take shutdown_grace_s to finish. 0 lets connections stay."""

    metrics_address: str = ""
    """host:port at which Prometheus may scrape /metrics. Empty turns metrics off."""

    otel_exporter_otlp_endpoint: str = ""
    """URL of a collector that takes traces by OTLP over gRPC. Empty turns traces off."""

    shutdown_grace_s: float = 10.0
    """Longest time that calls in progress may take to finish after SIGTERM, or on a connection that is too old."""

    log_level: str = "INFO"
    """Lowest level that is logged: DEBUG logs every call, INFO the calls that fail."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings that are set, and take the defaults for the others. Raises SettingsError."""
        values = {}
        for name, parse in _PARSERS.items():
            variable = name.upper()
            if variable in environment:
                try:
                    values[name] = parse(environment[variable])
                except ValueError as error:
                    raise SettingsError(f"{variable}: expected {error}, got {environment[variable][:40]!r}") from None
        return cls(**values)

    @property
    def logging_level(self) -> int:
        return logging.getLevelNamesMapping()[self.log_level]


_PARSERS: dict[str, Callable[[str], Any]] = {
    "listen_address": _address,
    "workers": _at_least(1),
    "releases_dir": Path,
    "verify_key_file": _key_file,
    "tf_serving_address": _address,
    "predict_timeout_ms": _at_least(1),
    "degraded_answers": _boolean,
    "user_cache_size": _at_least(0),
    "max_concurrent_calls": _at_least(1),
    "max_queued_calls": _at_least(1),
    "max_connection_age_s": _seconds,
    "metrics_address": lambda text: text and _address(text),
    "otel_exporter_otlp_endpoint": _collector,
    "shutdown_grace_s": _seconds,
    "log_level": _level,
}
