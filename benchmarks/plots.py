"""Draws what `python -m benchmarks` measured, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks.figures import Figure
from benchmarks.frontier import CALIBRATED, K, Point

# Text stays text, and the same figures give the same file.
mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "benchmarks"}
NO_DATE = {"Date": None}


def draw_ratios(figures: Sequence[Figure], path: Path) -> None:
    """Draw a bar for each ratio to an echo, with its quartiles and its goal."""
    shown = [figure for figure in figures if figure.unit == "× echo"]
    positions = range(len(shown))
    canvas = Canvas(figsize=(10, 1 + 0.35 * len(shown)), layout="constrained")
    axes = canvas.subplots()
    values = [figure.value for figure in shown]
    quartiles = [[f.value - f.low for f in shown], [f.high - f.value for f in shown]]
    axes.barh(positions, values, xerr=quartiles, color="tab:blue", ecolor="black")
    for position, figure in zip(positions, shown, strict=True):
        if figure.goal is not None:
            axes.plot([figure.goal.bound] * 2, [position - 0.4, position + 0.4], color="tab:orange", linewidth=3)
    axes.set_yticks(positions, [f"{figure.name} ({figure.section.partition(':')[0]})" for figure in shown])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xticks([0.5, 1, 2, 4, 8, 16], ["0.5", "1", "2", "4", "8", "16"], minor=False)
    axes.set_xlabel("ratio to an empty gRPC echo; orange: goal")
    axes.grid(axis="x", alpha=0.3)
    canvas.savefig(path, metadata=NO_DATE)


def draw_frontiers(points: Sequence[Point], path: Path) -> None:
    """Draw recall over microseconds, a line for each engine, beside each other for each number of movies."""
    sizes = {size: list(of_size) for size, of_size in groupby(points, key=lambda point: point.num_movies)}
    canvas = Canvas(figsize=(12, 5), layout="constrained")
    for axes, (size, of_size) in zip(canvas.subplots(1, len(sizes), squeeze=False)[0], sizes.items(), strict=True):
        for engine, of_engine in groupby(of_size, key=lambda point: point.engine):
            settings = list(of_engine)
            style = {"marker": "*", "markersize": 14} if engine == CALIBRATED else {"marker": "."}
            times, recalls = [point.latency_us for point in settings], [point.recall for point in settings]
            axes.plot(times, recalls, label=engine, **style)
        axes.set_title(f"{size:,} vectors that were trained")
        axes.set_xscale("log")
        axes.set_xlabel("µs per query, one thread")
        axes.set_ylabel(f"recall@{K}")
        axes.set_ylim(0.7, 1.005)
        axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize="small")
    canvas.savefig(path, metadata=NO_DATE)
