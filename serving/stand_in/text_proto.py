"""Reading configuration files, which are protobuf messages in text form."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

TextProto = TypeVar("TextProto", bound=Message)


class ConfigError(ValueError):
    """The configuration cannot be used; the message says where and why."""


def read_text_proto(path: Path | str, kind: type[TextProto]) -> TextProto:
    """Read a message of class `kind` from a file.  Raises ConfigError, which names the file, if that fails."""
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), kind())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigError(f"{path}: {error}") from error
