"""The curve of a search, recall over microseconds, as coordinates of an SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass

from movie_recommender_client.v1 import recommender_pb2 as api

WIDTH, HEIGHT = 340, 210
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 12, 38  # margins, which hold the labels of the axes
LEAST_SPAN = 0.05  # of recall: smaller differences fill no whole plot
NUM_STEPS = 5  # of recall, each a multiple of a hundredth
MAX_POINTS = 200
QUERIES = {
    "recommend": "Known users",
    "newcomers": "Newcomers",
    "similar_movies": "Similar movies",
}
ENGINES = {"annoy": "index", "scan": "scan"}


@dataclass(frozen=True)
class Dot:
    """A measured effort.  x, y: of the SVG.  engine: "index" or "scan"."""

    x: float
    y: float
    engine: str
    point: api.SearchPoint
    is_served: bool


@dataclass(frozen=True)
class Curve:
    """What is drawn.  x_ticks, y_ticks: (coordinate, label).  served: the effort at which the release is searched."""

    name: str
    dots: list[Dot]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    served: api.SearchPoint

    @property
    def lines(self) -> dict[str, str]:
        """The points of a line for each engine, in order of their time."""
        dots = sorted(self.dots, key=lambda dot: (dot.x, -dot.y))
        engines = dict.fromkeys(dot.engine for dot in self.dots)
        return {name: " ".join(f"{dot.x},{dot.y}" for dot in dots if dot.engine == name) for name in engines}


def curve_of(search: api.SearchCurve) -> Curve:
    """The curve of a kind of query; without dots if no time was measured."""
    points = [point for point in search.points if point.latency_us > 0][:MAX_POINTS]
    name = QUERIES.get(search.queries, search.queries)
    if not points:
        return Curve(name, [], [], [], search.served)
    fastest, slowest = (math.log10(end(point.latency_us for point in points)) for end in (min, max))
    fastest, slowest = fastest - 0.1, slowest + 0.1
    lowest = min(math.floor(min(point.recall for point in points) / LEAST_SPAN) * LEAST_SPAN, 1 - LEAST_SPAN)

    def x_of(latency_us: float) -> float:
        share = (math.log10(latency_us) - fastest) / (slowest - fastest)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y_of(recall: float) -> float:
        return round(TOP + (1 - recall) / (1 - lowest) * (HEIGHT - TOP - BOTTOM), 1)

    served = search.served
    dots = [
        Dot(
            x_of(point.latency_us),
            y_of(point.recall),
            ENGINES.get(point.engine, point.engine),
            point,
            (point.engine, point.recall, point.latency_us) == (served.engine, served.recall, served.latency_us),
        )
        for point in points
    ]
    powers = range(math.floor(fastest), math.ceil(slowest) + 1)
    digits = (1, 2, 5) if slowest - fastest > 0.7 else (1, 1.5, 2, 3, 4, 5, 7)
    times = [digit * 10.0**power for power in powers for digit in digits]
    x_ticks = [(x_of(time), f"{time:g}") for time in times if fastest <= math.log10(time) <= slowest]
    recalls = [lowest + step * (1 - lowest) / NUM_STEPS for step in range(NUM_STEPS + 1)]
    return Curve(name, dots, x_ticks, [(y_of(recall), f"{recall:.3g}") for recall in recalls], served)
