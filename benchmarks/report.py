"""Writes what `python -m benchmarks` measured: a table in Markdown, everything in JSON, plots in SVG."""

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

from benchmarks.figures import Figure
from benchmarks.frontier import TARGET_RECALL, K, Point, cheapest
from benchmarks.plots import draw_frontiers, draw_ratios

PACKAGES = ("grpcio", "numpy", "annoy", "hnswlib", "faiss-cpu", "usearch", "voyager")
MARKS = {True: "met", False: "**not met**", None: ""}


@dataclass(frozen=True)
class Results:
    """What was measured.

    model_server: what served the models.  release: its data and size.
    points: settings of all engines, for each number of movies.
    """

    model_server: str
    release: str
    rounds: int
    figures: Sequence[Figure]
    points: Sequence[Point]


def write_report(results: Results, folder: Path) -> str:
    """Write table.md, results.json, ratios.svg and frontiers.svg into the folder, and return the Markdown."""
    folder.mkdir(exist_ok=True)
    markdown = "\n".join(_markdown(results)) + "\n"
    (folder / "table.md").write_text(markdown, encoding="utf-8")
    content = {
        "machine": _machine(),
        "model_server": results.model_server,
        "release": results.release,
        "rounds": results.rounds,
        "figures": [figure.as_json for figure in results.figures],
        "indexes": [asdict(point) for point in results.points],
    }
    (folder / "results.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    draw_ratios(results.figures, folder / "ratios.svg")
    draw_frontiers(results.points, folder / "frontiers.svg")
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
    yield f"* release: {results.release}"
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
