"""Numbers and texts in arguments: what each kind must look like. Each error says what was expected and what came."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable

HIGHEST_INT32 = 2**31 - 1


def whole_number(lowest: int, highest: int = HIGHEST_INT32) -> Callable[[str], int]:
    """What reads a whole number from `lowest` to `highest`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = lowest - 1
        if not lowest <= number <= highest:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {lowest:,} to {highest:,}, got {text[:40]!r}"
            )
        return number

    return read


def number(expected: str, is_right: Callable[[float], bool]) -> Callable[[str], float]:
    """What reads a finite number.  expected: its kind in words, such as "a positive number"."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and is_right(value)):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text[:40]!r}")
        return value

    return read


def text(argument: str) -> str:
    """The argument, which must be UTF-8, also where the terminal is set to another encoding."""
    try:
        argument.encode("utf-8")
        return argument
    except UnicodeEncodeError:  # Python has kept bytes that it could not decode as surrogates
        pass
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeDecodeError as error:
        raise argparse.ArgumentTypeError(f"expected UTF-8, got {argument[:40]!a}") from error
