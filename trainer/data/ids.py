"""Ids of users and movies: whole numbers where every one is, else texts, which are called keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from protos.release.v1.layout import MAX_KEY_BYTES
from trainer.data.order import narrow
from trainer.data.records import shown
from trainer.data.tables import Table
from trainer.workers.workers import ALONE, Workers, anywhere

MISSING = ["", "nan", "null", "none", "<na>", "\\n"]
WHOLE = r"^[+-]?(0|[1-9][0-9]*)(\.0*)?$"
DIGITS = r"^[+-]?[0-9]+(\.0*)?$"  # with leading zeros
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
EXPONENT = r"[0-9.][eE][+-]?[0-9]"
SHORTENED = r"^[0-9](\.[0-9]+)?[eE]\+[0-9]+$"  # as spreadsheets write long numbers, also among texts
CONTROL = r"[\p{Cc}\x{2028}\x{2029}]"


@dataclass(frozen=True)
class Ids:
    """A column of ids.  codes: int32[n], positions in `texts`.  texts: string[m], unique, without spaces around.

    numbers: int64[m], what the texts say if every one is a whole number; else None.
    example: position of a text that is no whole number.  why_text: that text, in words; "" for numbers.
    """

    codes: np.ndarray
    texts: pa.StringArray
    numbers: np.ndarray | None
    example: int = 0
    why_text: str = ""

    def keys(self) -> pa.StringArray:
        """string[m]: the ids as text; whole numbers in one spelling each."""
        return self.texts if self.numbers is None else pa.array(self.numbers).cast(pa.string())


def ids_of(table: Table, role: str) -> Ids:
    """role: "user" or "movie".  Raises DataError for an id that is missing, negative, not whole, shortened by a
    spreadsheet, longer than 256 bytes, or with control characters."""
    codes, texts = table.coded(role)
    if not len(texts):
        return Ids(codes, texts, np.empty(0, np.int64))
    _refuse(table, role, codes, texts, pc.is_in(pc.utf8_lower(texts), pa.array(MISSING)), "expected an id")
    if pc.all(pc.match_substring_regex(texts, WHOLE)).as_py():
        numbers = _int64(texts)
        if numbers is not None:
            _refuse(table, role, codes, texts, pa.array(numbers < 0), "expected an id of 0 or more")
            return Ids(codes, texts, numbers)
    _refuse_damaged_numbers(table, role, codes, texts)
    too_long = pc.greater(pc.binary_length(texts), MAX_KEY_BYTES)
    _refuse(table, role, codes, texts, too_long, f"expected an id of at most {MAX_KEY_BYTES} bytes")
    control = pc.match_substring_regex(texts, CONTROL)
    _refuse(table, role, codes, texts, control, "expected an id without control characters")
    example = _example(texts)
    return Ids(codes, texts, None, example, f", such as {shown(texts[example].as_py())}")


def numbered(columns: Sequence[Ids]) -> tuple[list[np.ndarray], np.ndarray | None]:
    """(int[n] for each column, keys): ids as they are and None if all columns are whole numbers; else positions in
    keys, object[k] of str, sorted and unique, which all columns share."""
    if all(ids.numbers is not None for ids in columns):
        return [narrow(ids.numbers)[ids.codes] for ids in columns if ids.numbers is not None], None
    texts = [ids.keys() for ids in columns]
    all_texts = pa.concat_arrays(texts)
    keys = all_texts if len(columns) == 1 and columns[0].numbers is None else pc.unique(all_texts)
    order = pc.array_sort_indices(keys)  # by UTF-8 bytes, which is Python's order of str
    place = np.empty(len(keys), np.int64)
    place[order.to_numpy()] = np.arange(len(keys))
    rows = [place] if keys is all_texts else [place[pc.index_in(own, keys).to_numpy()] for own in texts]
    values = [narrow(own)[ids.codes] for own, ids in zip(rows, columns, strict=True)]
    return values, keys.take(order).to_numpy(zero_copy_only=False)


def without_unused(
    values: np.ndarray, keys: np.ndarray | None, workers: Workers = ALONE
) -> tuple[np.ndarray, np.ndarray | None]:
    """(int[n], keys) without the keys that no value names on any worker."""
    if keys is None:
        return values, None
    used = np.zeros(len(keys), bool)
    used[values] = True
    used = anywhere(workers, used)
    return narrow(np.cumsum(used) - 1)[values], keys[used]


def _int64(texts: pa.StringArray) -> np.ndarray | None:
    """int64, or None if one does not fit."""
    digits = pc.replace_substring_regex(texts, r"^\+|\.0*$", "")
    try:
        numbers: np.ndarray = digits.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    return numbers


def _refuse_damaged_numbers(table: Table, role: str, codes: np.ndarray, texts: pa.StringArray) -> None:
    if pc.all(pc.match_substring_regex(texts, NUMBER)).as_py():
        damaged = pc.match_substring_regex(texts, EXPONENT)
        hint = "expected an id in full (a spreadsheet writes 7.65612E+16 for a long number: format the column as text)"
        _refuse(table, role, codes, texts, damaged, hint)
        not_whole = pc.match_substring(texts, ".")
        if not pc.all(pc.match_substring_regex(texts, DIGITS)).as_py():
            not_whole = pc.invert(pc.match_substring_regex(texts, DIGITS))
        _refuse(table, role, codes, texts, not_whole, "expected a whole id")
    shortened = pc.match_substring_regex(texts, SHORTENED)
    _refuse(table, role, codes, texts, shortened, "expected an id in full, not as a spreadsheet shortens it")


def _refuse(
    table: Table, role: str, codes: np.ndarray, texts: pa.StringArray, bad: pa.BooleanArray, expected: str
) -> None:
    table.refuse_texts(role, codes, texts, np.asarray(bad.to_numpy(zero_copy_only=False), bool), expected)


def _example(texts: pa.StringArray) -> int:
    """The position of a text that is no whole number of 64 bits."""
    whole = pc.match_substring_regex(texts, WHOLE).to_numpy(zero_copy_only=False)
    if whole.all():
        whole = pc.less(pc.utf8_length(texts), 19).to_numpy(zero_copy_only=False)
    return int(np.argmin(whole))
