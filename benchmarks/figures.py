"""A figure of the table that `python -m benchmarks` writes, and the medians it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Goal:
    """What a figure should be: at most this, or at least this."""

    bound: float
    at_least: bool = False

    def is_met_by(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    value: the median of the rounds, in `unit`.  low, high: its quartiles.
    details: what the value was made of, by name with unit.
    """

    section: str
    name: str
    value: float
    unit: str
    low: float
    high: float
    goal: Goal | None
    details: dict[str, float]

    @property
    def as_text(self) -> str:
        return f"{_short(self.value)} {self.unit} ({_short(self.low)}–{_short(self.high)})"

    @property
    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "goal": None if self.goal is None else str(self.goal), "goal_is_met": self.is_met}

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met; None if there is none."""
        return None if self.goal is None else self.goal.is_met_by(self.value)


def figure(
    section: str,
    name: str,
    values: Sequence[float],
    unit: str,
    goal: Goal | None = None,
    **details: Sequence[float],
) -> Figure:
    """The median and the quartiles of the values of each round, and the medians of the details."""
    low, median, high = np.percentile(values, [25, 50, 75])
    medians = {name: float(np.median(of_rounds)) for name, of_rounds in details.items()}
    return Figure(section, name, float(median), unit, float(low), float(high), goal, medians)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
