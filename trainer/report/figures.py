"""The report's plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from plotly.graph_objects import Bar, Figure, Histogram, Scatter
from plotly.subplots import make_subplots
from sklearn.manifold import TSNE

from protos.release.v1 import manifest_pb2 as pb
from trainer.evaluation.comparison import Entry

MAP_MOVIES = 1500
BLUE, ORANGE, GREY = "#3366aa", "#dd7722", "#bbbbbb"


def ratings(table: pd.DataFrame) -> Figure:
    """How many ratings of each value, per user and per movie."""
    figure = make_subplots(1, 3, subplot_titles=["ratings by value", "ratings per user", "ratings per movie"])
    values = table["rating"].value_counts().sort_index()
    figure.add_trace(Bar(x=values.index, y=values, marker_color=BLUE), 1, 1)
    for column, by in ((2, "user_id"), (3, "movie_id")):
        counts = np.log10(table[by].value_counts())
        figure.add_trace(Histogram(x=counts, nbinsx=30, marker_color=BLUE), 1, column)
        figure.update_xaxes(title="ratings, powers of ten", row=1, col=column)
    return _tidy(figure, 300)


def losses(values: Sequence[float]) -> Figure:
    """Mean loss per liked movie after each epoch."""
    figure = Figure(Scatter(x=np.arange(1, len(values) + 1), y=list(values), mode="lines", line_color=BLUE))
    figure.update_layout(title="training loss per liked movie", xaxis_title="epoch", yaxis_title="−log likelihood")
    return _tidy(figure, 320)


def recall_by_epochs(recalls: Mapping[int, float], k: int) -> Figure:
    """Of runs of so many epochs, each with its own decay of the learning rate."""
    epochs = sorted(recalls)
    figure = Figure(Scatter(x=epochs, y=[recalls[e] for e in epochs], mode="lines+markers", line_color=BLUE))
    figure.update_layout(title=f"recall@{k} of runs of so many epochs", xaxis_title="epochs", yaxis_rangemode="tozero")
    return _tidy(figure, 320)


def comparison(entries: Sequence[Entry], k: int) -> Figure:
    """Means with standard errors."""
    figure = make_subplots(1, 2, subplot_titles=[f"recall@{k}", f"ndcg@{k}"], shared_yaxes=True)
    names = [entry.name for entry in entries]
    for column, metric in ((1, f"recall@{k}"), (2, f"ndcg@{k}")):
        means = [entry.scores.means[metric] for entry in entries]
        errors = [entry.scores.standard_errors[metric] for entry in entries]
        bars = Bar(x=means, y=names, error_x={"array": errors}, orientation="h", marker_color=BLUE)
        figure.add_trace(bars, 1, column)
    figure.update_yaxes(autorange="reversed")
    return _tidy(figure, 120 + 36 * len(entries))


def index_curves(calibrations: Mapping[str, pb.Calibration]) -> Figure:
    """Recall against microseconds, with the chosen effort marked."""
    figure = Figure()
    for (name, calibration), color in zip(calibrations.items(), (BLUE, ORANGE), strict=True):
        points = list(calibration.curve)
        figure.add_trace(
            Scatter(
                x=[point.latency_us for point in points],
                y=[point.recall for point in points],
                text=[f"search_k {point.search_k:,}" for point in points],
                mode="lines+markers",
                marker_size=[16 if point.search_k == calibration.search_k else 7 for point in points],
                line_color=color,
                name=name,
            )
        )
    figure.update_layout(xaxis_title="µs per query", yaxis_title="recall@10", showlegend=True)
    return _tidy(figure, 400, legend=True)


def popularity_of(ranked: np.ndarray, likes: np.ndarray) -> Figure:
    """ranked: int32[num_users, k], −1 for none.  likes: int64[num_trained_movies]."""
    tenth = np.empty(len(likes), int)
    tenth[np.argsort(-likes, kind="stable")] = np.arange(len(likes)) * 10 // max(len(likes), 1)
    offered = np.bincount(tenth[ranked[ranked >= 0]], minlength=10)
    liked = np.bincount(tenth, weights=likes, minlength=10)
    labels = [f"{10 * n}–{10 * (n + 1)} %" for n in range(10)]
    figure = Figure(
        [
            Bar(x=labels, y=offered / max(offered.sum(), 1), name="of what is recommended", marker_color=BLUE),
            Bar(x=labels, y=liked / max(liked.sum(), 1), name="of what is liked", marker_color=GREY),
        ]
    )
    seen = len(np.unique(ranked[ranked >= 0])) / max(len(likes), 1)
    figure.update_layout(
        title=f"{seen:.1%} of the movies are in somebody's first ten", xaxis_title="movies, most liked first"
    )
    figure.update_yaxes(tickformat=".0%")
    return _tidy(figure, 380, legend=True)


def movie_map(vectors: np.ndarray, movies: pd.DataFrame) -> Figure:
    """vectors: float32[num_movies, d] in the order of the table, which has title, genres and popularity."""
    shown = np.argsort(-movies["popularity"].to_numpy(), kind="stable")[:MAP_MOVIES]
    shown = shown[movies["popularity"].to_numpy()[shown] > 0]
    perplexity = min(30.0, max(1.0, (len(shown) - 1) / 3))
    places = TSNE(perplexity=perplexity, random_state=0, init="pca").fit_transform(vectors[shown])
    table = movies.iloc[shown].assign(x=places[:, 0], y=places[:, 1])
    table["genre"] = table["genres"].str.split("|").str[0].replace("", "none")
    figure = Figure()
    for genre, group in sorted(table.groupby("genre"), key=lambda pair: -len(pair[1])):
        figure.add_trace(
            Scatter(x=group["x"], y=group["y"], text=group["title"], mode="markers", name=str(genre), hoverinfo="text")
        )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return _tidy(figure, 720, legend=True)


def _tidy(figure: Figure, height: int, legend: bool = False) -> Figure:
    figure.update_layout(template="plotly_white", height=height, showlegend=legend, margin={"t": 60, "b": 40})
    return figure
