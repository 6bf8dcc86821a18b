"""Times of ratings: read in the forms people have them, and judged whether a split in time may stand on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.ids import EXPONENT, MISSING, NUMBER
from trainer.data.records import shown
from trainer.data.tables import Table
from trainer.workers.workers import ALONE, Workers

DAY_S = 86_400
EXPECTED = "expected seconds or milliseconds since 1970, or a date such as 2024-01-31T18:30:00Z, alike in all rows"
MAX_SPARSITY = 2
FEW = 1_000
FIRST_CLOCK_S = 100_000_000  # 1973; lower times only count, such as 0, 1, 2, or name a day, such as 20240131
FINER_UNITS = ((1e17, 10**9), (1e14, 10**6), (1e11, 10**3))  # above so much: nano-, micro-, milliseconds since 1970


@dataclass(frozen=True)
class Times:
    """usable: whether each user's ratings can be split in time, by the rule of `judged`.

    words: what they are, or why they cannot be used.  num_users_without: users whose own times tell no order.
    """

    usable: bool = True
    words: str = ""
    num_users_without: int = 0


def seconds_of(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """(int64[n] seconds since 1970, bool[n] whether there is a time).

    Read are seconds, milli-, micro- and nanoseconds, whole or with a fraction; ISO dates with or without a time of day,
    in UTC where no zone is named; the times of Parquet.  A number's size tells its unit: seconds reach 10^11 only in
    the year 5138.  Missing is an empty field or "null", and 0 or less where the others are times since 1970.
    Raises DataError for anything else.
    """
    column = table.columns.get("timestamp")
    if column is None:
        return np.zeros(len(table), np.int64), np.zeros(len(table), bool)
    if pa.types.is_string(column.type):
        column = _parsed(table, column)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False).cast(pa.int64())
    known = pc.is_valid(column).to_numpy()
    numbers = column.fill_null(0).to_numpy()
    if numbers.dtype.kind == "f":
        known &= np.isfinite(numbers)
        numbers = np.where(known, numbers, 0)
    for least, per_second in FINER_UNITS:
        finer = np.abs(numbers) >= least
        if finer.any():
            numbers = np.where(finer, numbers // per_second, numbers)
    seconds = np.floor(numbers).astype(np.int64) if numbers.dtype.kind == "f" else numbers.astype(np.int64, copy=False)
    positive = seconds[seconds > 0]
    if len(positive) and np.median(positive) >= FIRST_CLOCK_S:
        known &= seconds > 0
    return seconds, known


def judged(
    users: np.ndarray, seconds: np.ndarray, known: np.ndarray, named: bool, workers: Workers = ALONE
) -> tuple[np.ndarray, Times]:
    """(int64[n] timestamps, what they are worth).  users: int64[n].  named: whether there is a column of times.

    A user's times tell an order if every rating has one and they are not all equal.  Times are usable if those of at
    least half of the users with two and more ratings tell an order, in whole days too.  The timestamps are 0 for
    users whose own times tell none, and for everybody if the times are not usable.
    """
    if not named:
        return np.zeros_like(seconds), Times(False, "there is no column of times")
    # ids that are nearly as dense as rows serve as rows; numbering them takes seconds and memory for millions of users
    codes = users if users.max(initial=0) < MAX_SPARSITY * len(users) else pd.factorize(users)[0]
    num_users = int(codes.max(initial=-1)) + 1
    first, last = np.full(num_users, np.iinfo(np.int64).max), np.full(num_users, np.iinfo(np.int64).min)
    np.minimum.at(first, codes, seconds)
    np.maximum.at(last, codes, seconds)
    num_ratings = np.bincount(codes, minlength=num_users)
    complete = np.bincount(codes[~known], minlength=num_users) == 0
    several = num_ratings > 1
    ordered = complete & (first < last)
    without = several & ~ordered
    counts = np.array([(ordered & several).sum(), several.sum(), without.sum(), known.sum()], np.int64)
    num_ordered, num_several, num_without, num_known = workers.sum(counts).tolist()
    if not num_known:
        return np.zeros_like(seconds), Times(False, "all times are missing")
    ends = np.array([seconds[known].min(), seconds[known].max()]) if known.any() else np.empty(0, np.int64)
    ends = np.concatenate(workers.gather(ends))
    if ends.min() == ends.max():
        return np.zeros_like(seconds), Times(False, "all times are equal")
    if num_ordered * 2 < num_several:
        why = f"only {num_ordered:,} of {num_several:,} users with several ratings have times that tell their order"
        return np.zeros_like(seconds), Times(False, why)
    missing = without[codes] | ~known
    timestamps = np.where(missing, 0, seconds) if missing.any() else seconds
    return timestamps, Times(True, _words(seconds[known], ends), num_without)


def tell_order_coarsely(timestamps: np.ndarray) -> bool:
    """Whether the times are whole days, or only count: then many are equal, and equal ones are in no order at all."""
    if (timestamps[:FEW] % DAY_S != 0).any() and timestamps[:FEW].max() >= FIRST_CLOCK_S:
        return False  # the first few tell, and there may be many million
    return bool((timestamps % DAY_S == 0).all() or timestamps.max(initial=0) < FIRST_CLOCK_S)


def _parsed(table: Table, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """int64, float64, or timestamp["us"], null where a text says that the time is missing."""
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        pass
    column = pc.utf8_trim_whitespace(column)
    missing = pc.is_in(pc.utf8_lower(column), pa.array(MISSING))
    column = pc.if_else(missing, pa.scalar(None, pa.string()), column)
    numbers = pc.fill_null(pc.match_substring_regex(column, NUMBER), True)
    if pc.all(numbers).as_py():
        shortened = pc.fill_null(pc.match_substring_regex(column, EXPONENT), False)
        _refuse(table, column, shortened, "expected a time in full, not as a spreadsheet shortens it")
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            return column.cast(pa.float64())
    if pc.mean(numbers.cast(pa.int8())).as_py() > 0.5:
        _refuse(table, column, pc.invert(numbers), EXPECTED)
    coded = column.combine_chunks().dictionary_encode()
    dates = pd.to_datetime(
        pd.Series(coded.dictionary.to_pylist(), dtype=object), format="ISO8601", utc=True, errors="coerce"
    )
    unread = pa.chunked_array([pa.array(dates.isna().to_numpy()).take(coded.indices)])
    _refuse(table, column, pc.fill_null(unread, False), EXPECTED)
    stamps = pa.array(dates.dt.tz_localize(None).to_numpy().astype("datetime64[us]"))
    return pa.chunked_array([stamps.take(coded.indices)])


def _refuse(table: Table, column: pa.ChunkedArray, bad: pa.ChunkedArray, expected: str) -> None:
    is_bad = np.asarray(bad.to_numpy(), bool)
    if is_bad.any():
        row = int(np.argmax(is_bad))
        table.refuse(row, "timestamp", f"{expected}, got {shown(column[row].as_py())}")


def _words(seconds: np.ndarray, ends: np.ndarray) -> str:
    """What times are.  seconds: some of them.  ends: the first and the last of all are among these."""
    low, high = int(ends.min()), int(ends.max())
    if high < FIRST_CLOCK_S:
        return f"they count from {low:,} to {high:,}"
    precision = "in whole days" if tell_order_coarsely(seconds) else "to the second"
    return f"{precision}, {_day(low)} to {_day(high)}"


def _day(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:,} s"
