"""Output that ends well everywhere: in closed pipes, on full disks, on terminals without UTF-8."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable

FAILED = 1
INTERRUPTED = 130  # the exit status after Ctrl-C

# Control characters (C0 and C1), line and paragraph separators, what changes the direction of text, and halves of
# surrogate pairs. A terminal would obey them or show what follows in another order.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with each character that a terminal would obey written as an escape, such as \\x1b, on one line."""
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def print_error(problem: object) -> None:
    """Print one line about an error on standard error."""
    print(f"error: {visible(str(problem))}", file=sys.stderr)


def guarded(command: Callable[[], int]) -> int:
    """Run a command and return its exit status; 1 without a word if nobody reads its output any more.

    A character that the terminal cannot show is printed as an escape.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return command()
        finally:
            _flush()
    except BrokenPipeError:
        return FAILED
    except OSError as error:
        print_error(f"{error.filename or 'writing'}: {error.strerror or error}")
        return FAILED


def _flush() -> None:
    """Print what is not printed yet. If that fails, drop it, because Python would fail once more at its exit."""
    if sys.stdout is None:  # the shell closed it
        return
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise
