"""The values of flags: what each kind of them must look like."""

from __future__ import annotations

import argparse

from trainer.data.column_names import named_by_flag
from trainer.data.ratings import RatingScale

MAX_RATING = 1e6


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


def positive_float(text: str) -> float:
    if not float(text) > 0:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return float(text)
