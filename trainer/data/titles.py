"""Titles and years that the service can read back, whatever the catalogue holds."""

from __future__ import annotations

import re

MAX_TITLE = 1_000  # characters; what is longer is a description
FIRST_YEAR, LAST_YEAR = 1000, 2200
YEAR_AT_END = re.compile(r"\((\d{4})(?:[–-]\d{0,4})?\)\s*$", re.ASCII)  # "Heat (1995)", "Firefly (2002–2003)"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_YEAR = re.compile(r"\s*(\d{4})(?:\.0*)?\s*", re.ASCII)
_YEAR_OF_DATE = re.compile(r"(?<!\d)(\d{4})(?!\d)", re.ASCII)


def without_control_characters(text: str) -> str:
    """With a space for every control character, line break and lone surrogate."""
    return _CONTROL.sub(" ", text)


def clean_title(title: str) -> str:
    """One line of at most 1,000 characters; may be empty."""
    return without_control_characters(title).strip()[:MAX_TITLE].rstrip()


def year_of_title(title: str) -> int:
    """The year that ends a title as in "Heat (1995)", or 0."""
    match = YEAR_AT_END.search(title)
    return int(match[1]) if match else 0


def year_of(text: str) -> int:
    """The year that a column of years names, or 0: "1995", "1995.0"."""
    match = _YEAR.fullmatch(text)
    return _plausible(match[1]) if match else 0


def year_of_date(text: str) -> int:
    """The year of a date such as "1995-12-15", "15-Dec-1995" or "12/15/1995", or 0."""
    match = _YEAR_OF_DATE.search(text)
    return _plausible(match[1]) if match else 0


def _plausible(year: str) -> int:
    return int(year) if FIRST_YEAR <= int(year) <= LAST_YEAR else 0
