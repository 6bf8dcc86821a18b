"""Writes what `python -m benchmarks` measured: a table in Markdown, everything in JSON, plots in one HTML file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import plotly.graph_objects as go
from plotly.io import to_html

from benchmarks.figures import Figure
from benchmarks.frontier import CALIBRATED, TARGET_RECALL, K, Point, cheapest

PACKAGES = ("grpcio", "numpy", "annoy", "hnswlib", "faiss-cpu", "usearch", "voyager")
MARKS = {True: "met", False: "**not met**", None: ""}


@dataclass(frozen=True)
class Results:
    """model_server: what served the models.  points: settings of all engines, for each number of movies."""

    model_server: str
    rounds: int
    figures: Sequence[Figure]
    points: Sequence[Point]


def write_report(results: Results, folder: Path) -> str:
    """Write bench.md, bench.json and bench.html into the folder, and return the Markdown."""
    markdown = "\n".join(_markdown(results)) + "\n"
    (folder / "bench.md").write_text(markdown, encoding="utf-8")
    content = {
        "machine": _machine(),
        "model_server": results.model_server,
        "rounds": results.rounds,
        "figures": [figure.as_json for figure in results.figures],
        "indexes": [asdict(point) for point in results.points],
    }
    (folder / "bench.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    plots = [_ratios(results.figures), *_frontiers(results.points)]
    pages = [to_html(plot, full_html=False, include_plotlyjs=number == 0) for number, plot in enumerate(plots)]
    html = f"<!doctype html><meta charset='utf-8'><title>Benchmarks</title>{''.join(pages)}"
    (folder / "bench.html").write_text(html, encoding="utf-8")
    return markdown


def _machine() -> dict[str, str]:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "processor": f"{os.cpu_count()} × {_processor()}",
        "software": f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}",
        "load": f"{os.getloadavg()[2]:.1f} processes ran or waited, on average over 15 minutes",
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _markdown(results: Results) -> Iterator[str]:
    for name, value in _machine().items():
        yield f"* {name}: {value}"
    yield f"* model server: {results.model_server}"
    yield f"* medians of {results.rounds} rounds, and their quartiles in parentheses"
    for section, of_section in groupby(results.figures, key=lambda figure: figure.section):
        yield f"\n| {section} | figure | goal | | in detail |\n|---|---|---|---|---|"
        for figure in of_section:
            details = ", ".join(f"{name.replace('_', ' ')} {value:,.4g}" for name, value in figure.details.items())
            yield f"| {figure.name} | {figure.as_text} | {figure.goal or ''} | {MARKS[figure.is_met]} | {details} |"
    for num_movies, points in groupby(results.points, key=lambda point: point.num_movies):
        yield (
            f"\n| {num_movies:,} movies, fastest setting with recall@{K} of at least {TARGET_RECALL} | setting "
            "| recall | µs per query | CPU s to build | MB |\n|---|---|---|---|---|---|"
        )
        for point in cheapest(list(points)):
            yield (
                f"| {point.engine} | {point.setting} | {point.recall:.3f} | {point.latency_us:,.0f} "
                f"| {point.build_s:.1f} | {point.num_bytes / 1e6:.0f} |"
            )


def _ratios(figures: Sequence[Figure]) -> go.Figure:
    """Bars of the ratios to an echo, with their quartiles and goals."""
    shown = [figure for figure in figures if figure.unit == "× echo"][::-1]
    names = [f"{figure.name}<br><sub>{figure.section}</sub>" for figure in shown]
    values = [figure.value for figure in shown]
    above, below = [f.high - f.value for f in shown], [f.value - f.low for f in shown]
    bars = go.Bar(y=names, x=values, orientation="h", error_x={"array": above, "arrayminus": below}, name="measured")
    goals = go.Scatter(
        y=names,
        x=[figure.goal.bound if figure.goal else None for figure in shown],
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 18, "color": "black"},
        name="goal",
    )
    layout = {"title": "Cost of a call ÷ cost of an empty gRPC echo of the same answer", "height": 80 + 45 * len(shown)}
    return go.Figure([bars, goals], layout | {"xaxis": {"type": "log"}, "yaxis": {"automargin": True}})


def _frontiers(points: Sequence[Point]) -> Iterator[go.Figure]:
    """Recall over microseconds, a line for each engine, for each number of movies."""
    for num_movies, of_size in groupby(points, key=lambda point: point.num_movies):
        plot = go.Figure(layout={"title": f"{num_movies:,} trained vectors: recall@{K} and time of a query"})
        for engine, of_engine in groupby(of_size, key=lambda point: point.engine):
            settings = list(of_engine)
            plot.add_scatter(
                x=[point.latency_us for point in settings],
                y=[point.recall for point in settings],
                text=[point.setting for point in settings],
                mode="markers" if len(settings) == 1 else "lines+markers",
                marker={"size": 14 if engine == CALIBRATED else 7},
                name=engine,
            )
        plot.update_xaxes(type="log", title="µs per query, one thread")
        plot.update_yaxes(title=f"recall@{K}")
        yield plot
