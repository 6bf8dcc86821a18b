"""The values of flags: what each kind of them must look like."""

from __future__ import annotations

import argparse

from console.values import number, whole_number
from trainer.data.column_names import named_by_flag
from trainer.data.ratings import RatingScale

MAX_RATING = 1e6
MAX_DIGITS = 10
MAX_DURATION_S = 10 * 366 * 86_400  # a clock that waits much longer is refused by the operating system
SECONDS_OF = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


positive_int = whole_number(1)
not_negative_int = whole_number(0)
release = whole_number(1, 2**63 - 1)
positive_float = number("a positive number", lambda value: value > 0)
embedding_dim = whole_number(1, 4096)  # more would take gigabytes even for few movies
list_length = whole_number(1, 10_000)
recency = watched_weight = number("a number from 0 to 100", lambda value: 0 <= value <= 100)  # exp(−100) is nothing
rating = number("a number", lambda value: True)


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


def duration(text: str) -> float:
    """The seconds that a text such as 90s, 30m, 6h or 1d names."""
    amount, unit = text[:-1], text[-1:]
    is_amount = amount.isascii() and amount.isdecimal() and len(amount) <= MAX_DIGITS
    seconds = int(amount) * SECONDS_OF.get(unit, 0) if is_amount else 0
    if not 0 < seconds <= MAX_DURATION_S:
        raise argparse.ArgumentTypeError(
            f"expected a whole number and s, m, h or d, such as 6h, and at most ten years; got {text[:40]!r}"
        )
    return float(seconds)


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
    if text and not (host and port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) < 65536):
        raise argparse.ArgumentTypeError(f"expected host:port, got {text[:40]!r}")
    return text
