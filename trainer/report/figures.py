"""The report's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from plotly.graph_objects import Bar, Figure, Histogram, Scatter
from plotly.subplots import make_subplots
from sklearn.manifold import TSNE

from protos.release.v1 import manifest_pb2 as pb
from trainer.evaluation.comparison import Entry

MAP_MOVIES = 1500  # more would be slow to lay out and to draw
BLUE, ORANGE, GREY = "#3366aa", "#dd7722", "#bbbbbb"


def ratings(table: pd.DataFrame) -> Figure:
    """Draw how many ratings there are of each value, per user and per movie."""
    figure = make_subplots(1, 3, subplot_titles=["ratings by value", "ratings per user", "ratings per movie"])
    values = table["rating"].value_counts().sort_index()
    figure.add_trace(Bar(x=values.index, y=values, marker_color=BLUE), 1, 1)
    for column, by in ((2, "user_id"), (3, "movie_id")):
        counts = np.log10(table[by].value_counts())
        figure.add_trace(Histogram(x=counts, nbinsx=30, marker_color=BLUE), 1, column)
        figure.update_xaxes(title="ratings, powers of ten", row=1, col=column)
    return _tidy(figure, 300)


def losses(values: Sequence[float]) -> Figure:
    """Draw the mean loss per liked movie after each epoch."""
    figure = Figure(Scatter(x=np.arange(1, len(values) + 1), y=list(values), mode="lines", line_color=BLUE))
    figure.update_layout(title="training loss per liked movie", xaxis_title="epoch", yaxis_title="−log likelihood")
    return _tidy(figure, 320)


def recall_by_epochs(recalls: Mapping[int, float], k: int) -> Figure:
    """Draw the recall by the epochs of a fit, each fit having its own decay of the learning rate."""
    epochs = sorted(recalls)
    figure = Figure(Scatter(x=epochs, y=[recalls[e] for e in epochs], mode="lines+markers", line_color=BLUE))
    figure.update_layout(title=f"recall@{k} by the epochs of a fit", xaxis_title="epochs", yaxis_rangemode="tozero")
    return _tidy(figure, 320)


def comparison(entries: Sequence[Entry], k: int) -> Figure:
    """Draw the means over users with their standard errors."""
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
    """Draw the recall against the time of a query, with a larger point at the chosen effort."""
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


def recommended_by_popularity(ranked: np.ndarray, num_likes: np.ndarray) -> Figure:
    """Draw the share of recommendations and of likes that falls on each tenth of the movies, most liked first.

    ranked: int32[num_users, k], −1 for none.  num_likes: int64[num_trained_movies].
    """
    tenth = np.empty(len(num_likes), int)
    tenth[np.argsort(-num_likes, kind="stable")] = np.arange(len(num_likes)) * 10 // max(len(num_likes), 1)
    recommended = np.bincount(tenth[ranked[ranked >= 0]], minlength=10)
    liked = np.bincount(tenth, weights=num_likes, minlength=10)
    labels = [f"{10 * n}–{10 * (n + 1)} %" for n in range(10)]
    figure = Figure(
        [
            Bar(x=labels, y=recommended / max(recommended.sum(), 1), name="recommendations", marker_color=BLUE),
            Bar(x=labels, y=liked / max(liked.sum(), 1), name="likes", marker_color=GREY),
        ]
    )
    coverage = len(np.unique(ranked[ranked >= 0])) / max(len(num_likes), 1)
    figure.update_layout(
        title=f"{coverage:.1%} of the movies are in at least one user's first {ranked.shape[1]}",
        xaxis_title="movies, most liked first",
    )
    figure.update_yaxes(tickformat=".0%")
    return _tidy(figure, 380, legend=True)


def movie_map(vectors: np.ndarray, movies: pd.DataFrame) -> Figure:
    """Draw the most liked movies on a plane, similar ones near each other.

    vectors: float32[num_movies, d].  movies: title, genres and popularity (how many users liked the movie), by row.
    """
    num_likes = movies["popularity"].to_numpy()
    shown = np.argsort(-num_likes, kind="stable")[:MAP_MOVIES]
    shown = shown[num_likes[shown] > 0]
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
