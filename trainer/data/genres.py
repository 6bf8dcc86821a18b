"""Genres as people write them: split, cleaned, and each in one spelling."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence

from trainer.data.titles import without_control_characters

GENRES_100K = (
    "Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|Musical|"
    "Mystery|Romance|Sci-Fi|Thriller|War|Western"
).split("|")
NONE = {"", "(no genres listed)", "\\n", "nan", "none", "null"}
MAX_GENRES, MAX_CHARACTERS = 100, 100  # of a movie; of a genre
MAX_WORDS = 5  # of what stands between commas in a list of genres; more are a sentence


def split_genres(texts: Sequence[str]) -> tuple[list[str], str]:
    """(each movie's genres joined by "|", how they were found to be separated).

    Every genre has one spelling, the most frequent of those that differ only in upper and lower case.
    """
    split, how = _splitter(texts)
    movies = [_cleaned(split(text)) for text in texts]
    spellings: dict[str, Counter[str]] = {}
    for genres in movies:
        for genre in genres:
            spellings.setdefault(genre.casefold(), Counter())[genre] += 1
    chosen = {folded: min(counts, key=lambda g: (-counts[g], g)) for folded, counts in spellings.items()}
    joined = ["|".join(dict.fromkeys(chosen[genre.casefold()] for genre in genres)) for genres in movies]
    return joined, how


def _splitter(texts: Sequence[str]) -> tuple[Callable[[str], list[str]], str]:
    filled = [text.strip() for text in texts if text.strip().casefold() not in NONE]
    lists = sum(text.startswith(("[", "{")) for text in filled)
    if lists > len(filled) / 2:
        return _listed, "as lists"
    counts = {separator: sum(separator in text for text in filled) for separator in "|;,"}
    separator = max(counts, key=lambda s: counts[s])  # the first of equals
    if not counts[separator]:
        return lambda text: [text], "one each"
    if separator == "," and not _is_list_at_commas(filled):
        return lambda text: [text], "one each (commas are part of them)"
    names = {"|": "bars", ";": "semicolons", ",": "commas"}
    return lambda text: text.split(separator), f"at {names[separator]}"


def _is_list_at_commas(texts: Sequence[str]) -> bool:
    """Whether what stands between the commas are names: short nearly everywhere."""
    pieces = [piece for text in texts for piece in text.split(",")]
    short = sum(len(piece.split()) <= MAX_WORDS and len(piece) <= MAX_CHARACTERS for piece in pieces)
    return short > 0.9 * len(pieces)


def _listed(text: str) -> list[str]:
    """The names in `["Action"]`, `['Action']`, `[{"id": 28, "name": "Action"}]` or `{"Action": 3}`; none if broken."""
    if not text.strip():
        return []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [piece.strip(" '\"") for piece in text.strip(" []{}").split(",")] if ":" not in text else []
    if isinstance(value, dict):
        value = [value] if "name" in value else list(value)
    if not isinstance(value, list | tuple | set):
        value = [value]
    return [str(entry.get("name", "")) if isinstance(entry, dict) else str(entry) for entry in value]


def _cleaned(genres: list[str]) -> list[str]:
    pieces = (re.sub(r"\s+", " ", without_control_characters(p)).strip() for genre in genres for p in genre.split("|"))
    return [piece[:MAX_CHARACTERS].strip() for piece in pieces if piece.casefold() not in NONE][:MAX_GENRES]
