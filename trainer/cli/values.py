"""The values of flags: what each kind of them must look like."""

from __future__ import annotations

import argparse

from trainer.data.column_names import named_by_flag
from trainer.data.ratings import RatingScale

MAX_RATING = 1e6
SECONDS_OF = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def columns(text: str) -> tuple[str, ...]:
    try:
        return named_by_flag(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def rating_scale(text: str) -> RatingScale:
    low, _, high = text.partition(":")
    try:
        scale = RatingScale(float(low), float(high))
    except ValueError:
        scale = RatingScale(0, 0)
    if not -MAX_RATING <= scale.lowest < scale.highest <= MAX_RATING:
        raise argparse.ArgumentTypeError(f"expected LOW:HIGH such as 0.5:5, got {text[:40]!r}")
    return scale


def positive_int(text: str) -> int:
    if int(text) <= 0:
        raise argparse.ArgumentTypeError(f"expected a positive whole number, got {text}")
    return int(text)


def not_negative(text: str) -> float:
    if not 0 <= float(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text}")
    return float(text)


def not_negative_int(text: str) -> int:
    if int(text) < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text}")
    return int(text)


def duration(text: str) -> float:
    """The seconds that a text such as 90s, 30m, 6h or 1d names."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdecimal() and int(number) and unit in SECONDS_OF):
        raise argparse.ArgumentTypeError(f"expected a whole number and s, m, h or d, such as 6h; got {text[:40]!r}")
    return float(int(number) * SECONDS_OF[unit])


def share(text: str) -> float:
    """The share that a text such as 5% or 0.5% names, above 0 and at most 1."""
    try:
        percent = float(text[:-1]) if text[-1:] == "%" else 0.0
    except ValueError:
        percent = 0.0
    if not 0 < percent <= 100:
        raise argparse.ArgumentTypeError(f"expected a share above 0% and up to 100%, such as 5%; got {text[:40]!r}")
    return percent / 100


def address(text: str) -> str:
    """host:port, or nothing."""
    host, _, port = text.rpartition(":")
    if text and not (host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise argparse.ArgumentTypeError(f"expected host:port, got {text[:40]!r}")
    return text


def positive_float(text: str) -> float:
    if not float(text) > 0:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return float(text)
