"""What ratings say: stars on a scale, or only that something was seen; and from which rating on a movie is liked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.tables import Table
from trainer.workers.workers import ALONE, Workers

SHARE_OF_SCALE = 0.7  # 3.5 of 5 stars: liked
SEEN = (0.0, -1.0)  # what files write where somebody saw a movie without rating it
MANY_ZEROS = 0.25


@dataclass(frozen=True)
class RatingScale:
    """Lowest and highest rating a file may hold."""

    lowest: float = 0.5
    highest: float = 5.0

    def at(self, share: float) -> float:
        """The rating that lies this share of the range above its start, which is 0 or the lowest rating below 0.

        Stars count from none at all: on 0.5:5 and on 1:5 the range is 0 to 5, and 0.7 of it is 3.5; on −10:10 it is 4.
        """
        start = min(0.0, self.lowest)
        return start + share * (self.highest - start)

    def __str__(self) -> str:
        return f"{self.lowest:g} to {self.highest:g}"


FIVE_STARS = RatingScale()


@dataclass(frozen=True)
class RatingValues:
    """ratings: float32[n], NaN where somebody saw a movie without rating it; 1 for all if they are implicit.

    implicit: whether ratings tell only that somebody did something.  words: the same for people.
    """

    ratings: np.ndarray
    implicit: bool
    words: str

    @property
    def num_seen(self) -> int:
        """How many tell only that a movie was seen, among others that rate."""
        return int(np.isnan(self.ratings).sum())


def rating_values(table: Table, scale: RatingScale) -> RatingValues:
    """Raises DataError for a rating that is no number or lies outside the scale; 0 and −1 below the scale mean "seen".

    Without a column of ratings, or with one that counts (plays, clicks), every row tells that somebody did something.
    """
    role = next((role for role in ("rating", "count") if role in table.columns), None)
    if role is None:
        return RatingValues(np.ones(len(table), np.float32), True, "implicit: there is no column of ratings")
    codes, texts = table.coded(role)
    values = _numbers(table, role, codes, texts)
    if role == "count":
        table.refuse_texts(role, codes, texts, ~(values >= 0), "expected a count of 0 or more")
        words = f"implicit: {table.files[0].used[role]} counts what users did"
        return RatingValues(np.where(values[codes] > 0, 1, np.nan).astype(np.float32), True, words)
    seen = np.isin(values, SEEN) & (values < scale.lowest)
    outside = ~seen & ~((values >= scale.lowest) & (values <= scale.highest))
    table.refuse_texts(role, codes, texts, outside, f"expected {scale}", _hint(values))
    if seen.all() and len(values):
        return RatingValues(np.ones(len(table), np.float32), True, "implicit: every rating says only that it was seen")
    ratings = np.where(seen, np.nan, values)[codes].astype(np.float32)
    words = f"ratings from {values[~seen].min():g} to {values[~seen].max():g}" if len(values) else "no ratings"
    zeros = float((values == 0)[codes].mean()) if scale.lowest == 0 and len(codes) else 0.0
    if zeros > MANY_ZEROS:
        words += f", {zeros:.0%} of them 0 (if 0 means seen but not rated: --rating-scale 1:{scale.highest:g})"
    return RatingValues(ratings, False, words)


def default_positive_threshold(
    ratings: pd.DataFrame, scale: RatingScale = FIVE_STARS, workers: Workers = ALONE
) -> float:
    """Seven tenths of the scale's range; or everything rated, if no rating lies in the lower half of it.

    A file without a rating in the lower half was filtered to what people liked already (many published splits are).
    """
    ends = np.array([ratings["rating"].min(), ratings["rating"].max()], np.float64)
    ends = np.concatenate(workers.gather(ends))
    lowest, highest = float(np.nanmin(ends)), float(np.nanmax(ends))
    return lowest if lowest >= scale.at(0.5) or lowest == highest else scale.at(SHARE_OF_SCALE)


def _numbers(table: Table, role: str, codes: np.ndarray, texts: pa.StringArray) -> np.ndarray:
    """float64[len(texts)], where "4,5" is 4.5 if no text has a point."""
    if not pc.any(pc.match_substring(texts, ".")).as_py():
        texts = pc.replace_substring(texts, ",", ".")
    numbers = pd.to_numeric(pd.Series(texts.to_pylist(), dtype=object), errors="coerce").to_numpy(np.float64)
    table.refuse_texts(role, codes, texts, np.isnan(numbers), "expected a number")
    return numbers


def _hint(values: np.ndarray) -> str:
    known = values[np.isfinite(values) & ~np.isin(values, SEEN)]
    if not len(known):
        return ""
    low = values.min() if known.min() < 0 else known.min()
    return f" (the ratings go from {low:g} to {known.max():g}; --rating-scale LOW:HIGH names the scale)"
