"""Draws what training costs over the number of ratings, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

# Text stays text, and the same figures give the same file.
mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "benchmarks"}


def draw_costs(costs: Sequence[tuple[str, int, float, float]], path: Path) -> None:
    """Draw CPU seconds and memory side by side, a line for each program.

    costs: (program, number of ratings, CPU seconds, GB at the peak).
    """
    canvas = Canvas(figsize=(10, 4), layout="constrained")
    for at, (axes, unit) in enumerate(zip(canvas.subplots(1, 2), ("CPU seconds", "GB at the peak"), strict=True), 2):
        for program, of_program in groupby(sorted(costs), key=lambda cost: cost[0]):
            own = list(of_program)
            axes.plot([cost[1] for cost in own], [cost[at] for cost in own], marker="o", label=program)
        axes.set(xscale="log", yscale="log", xlabel="ratings", ylabel=unit)
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    canvas.savefig(path, metadata={"Date": None})
