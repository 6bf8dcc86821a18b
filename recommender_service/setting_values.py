"""Parsers of settings. Each raises ValueError, whose message says what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from protos.release.v1.signature import read_keys
from recommender_service.access.token_file import parse_grants

# A file, because a database in memory is another one for each connection; and a host, or none for a local socket.
EVENTS_URLS = re.compile(r"sqlite:///[^?]+|postgresql://([^@/]*@)?(\[[^]]+\]|[^/:@]*)(:\d+)?/.+")

ANNOY, MILVUS = "annoy", "milvus"
MILVUS_URIS, MILVUS_FILE = re.compile(r"https?://(\[[0-9a-fA-F:]+\]|[^/:@?#\s]+)(:\d+)?(/\w*)?"), ".db"


def address(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not (separator and host and port.isdecimal() and int(port) < 65536):
        raise ValueError("host:port")
    return text


def at_least(lowest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < lowest:
            raise ValueError(f"a whole number of at least {lowest}")
        return int(text)

    return parse


def seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError("a number of seconds")
    return seconds


def boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


def file_of(what: str, check: Callable[[Path], object]) -> Callable[[str], Path | None]:
    """A parser of the path of a file; empty stands for none.  check: raises OSError or ValueError."""

    def parse(text: str) -> Path | None:
        path = optional_path(text)
        try:
            if path is not None:
                check(path)
        except (OSError, ValueError) as error:
            raise ValueError(f"a file with {what} ({error})") from error
        return path

    return parse


key_file = file_of("keys", read_keys)
token_file = file_of("tokens", lambda path: parse_grants(str(path), path.read_bytes()))


def events_url(text: str) -> str:
    if not text:
        return text
    if not EVENTS_URLS.fullmatch(text):
        raise ValueError("sqlite:////folder/events.db or postgresql://user:password@host/name")
    if any(find_spec(name) is None for name in ("sqlalchemy", "alembic", "psycopg")):
        raise ValueError("none, because the packages of the extra `events` are not installed")
    return text


def ann(text: str) -> str:
    if text not in (ANNOY, MILVUS):
        raise ValueError(f"{ANNOY} or {MILVUS}")
    if text == MILVUS and find_spec("pymilvus") is None:
        raise ValueError("annoy, because the packages of the extra `milvus` are not installed")
    return text


def milvus_uri(text: str) -> str:
    if text.endswith(MILVUS_FILE):
        if find_spec("milvus_lite") is None:
            raise ValueError("http://host:port, because the package milvus-lite is not installed")
        if not Path(text).parent.is_dir():
            raise ValueError("a file in a folder that exists")
    elif text and not MILVUS_URIS.fullmatch(text):
        raise ValueError(f"http://host:port, https://host:port or a file that ends in {MILVUS_FILE}")
    return text


def problem_of_milvus(chosen: str, uri: str, workers: int) -> str:
    """What is wrong with the settings of Milvus together; empty if nothing is.  chosen: ANN."""
    if (chosen == MILVUS) != bool(uri):
        return f"ANN=milvus and MILVUS_URI: expected both or neither, got {'no MILVUS_URI' if not uri else ANNOY}"
    if uri.endswith(MILVUS_FILE) and workers > 1:
        return f"WORKERS: expected 1, because only one process can open the file MILVUS_URI; got {workers}"
    return ""


def optional_address(text: str) -> str:
    return text and address(text)


def optional_path(text: str) -> Path | None:
    return Path(text) if text else None


def collector(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("a URL such as http://localhost:4317")
    if text and find_spec("opentelemetry") is None:
        raise ValueError("a service that is installed with its extra `tracing`")
    return text


def level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("DEBUG, INFO, WARNING or ERROR")
    return text.upper()
