"""The report's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup
from sklearn.manifold import TSNE

from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.calibrations import SCAN, is_chosen
from trainer.report.drawing import as_svg, drawing

MAP_MOVIES = 1500  # more would be slow to lay out and to draw
BLUE, ORANGE, GREEN, GREY = "#3f7fc8", "#d9752a", "#3d9a6b", "#8d8d8d"  # they show on white and on black
MARKS = [*"os^DvPX*<>phd+x", (4, 1, 0), (3, 1, 0), (6, 1, 0), (4, 1, 45), (3, 1, 180)]  # the last are stars
# As many as marks. They show on white and on black, and neighbours in the list differ much.
COLOURS = """
    #d1495b #3f7fc8 #4f9d4f #c77d1a #8f6fd1 #2a9d9d #c45ab3 #8a8a2b #e0703a #5c8fa8
    #b0766b #6fae2e #d04f8e #4a78e0 #a67c2e #35a679 #9c62b8 #e05050 #7d8d9c #b59a00
""".split()
OTHERS = "other genres"
PERCENT = "{x:.0%}"


def rating_values(ratings: pd.Series) -> Markup:
    """Draw how many ratings there are of each value."""
    values = ratings.value_counts().sort_index()
    with drawing(2.2) as figure:
        axes = figure.add_subplot()
        places = np.arange(len(values))
        axes.bar(places, values, color=BLUE)
        shown = places[:: max(1, len(places) // 10)]
        axes.set_xticks(shown, [f"{values.index[place]:g}" for place in shown])
        axes.set(xlabel="rating", ylabel="ratings")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        return as_svg(figure, f"Ratings by value: {', '.join(f'{value:g}: {n:,}' for value, n in values.items())}")


def ratings_per(counts: np.ndarray, what: str) -> Markup:
    """Draw how the ratings are spread.  counts: int[n], of each user or movie that has any.  what: which of the two."""
    with drawing(2.2) as figure:
        axes = figure.add_subplot()
        bins = np.unique(np.geomspace(1, counts.max() + 1, 25).round())
        axes.hist(counts, bins=bins.tolist(), color=BLUE)
        axes.set(xscale="log", xlabel=f"ratings of a {what}", ylabel=f"{what}s")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        says = f"Ratings per {what}: {counts.min():,} to {counts.max():,}, with a median of {np.median(counts):,.0f}"
        return as_svg(figure, says)


def losses(values: Sequence[float]) -> Markup:
    """Draw the mean loss per liked movie after each epoch."""
    with drawing(2.4) as figure:
        axes = figure.add_subplot()
        axes.plot(np.arange(1, len(values) + 1), values, color=BLUE, marker="o", markersize=4)
        axes.set(xlabel="epoch", ylabel="−log likelihood")
        says = f"Training loss per liked movie: {values[0]:.3f} after the first epoch, {values[-1]:.3f} after the last"
        return as_svg(figure, says)


def recall_by_epochs(recalls: Mapping[int, float], k: int) -> Markup:
    """Draw the recall by the epochs of a fit, each fit having its own decay of the learning rate."""
    epochs = sorted(recalls)
    with drawing(2.4) as figure:
        axes = figure.add_subplot()
        axes.plot(epochs, [recalls[number] for number in epochs], color=BLUE, marker="o", markersize=4)
        axes.set(xlabel="epochs of the fit", ylabel=f"recall@{k}")
        axes.set_ylim(0, 1.1 * max(recalls.values()) or 1)
        says = f"recall@{k} by the epochs of a fit: " + ", ".join(f"{n}: {recalls[n]:.3f}" for n in epochs)
        return as_svg(figure, says)


def comparison(figures: Mapping[str, tuple[float, float]], metric: str, ours: Sequence[str]) -> Markup:
    """Draw the means over users with their standard errors.

    figures: (mean, standard error) by the name of the ranking.  ours: the names that are drawn in another colour.
    """
    with drawing(0.6 + 0.28 * len(figures)) as figure:
        axes = figure.add_subplot()
        means, errors = zip(*figures.values(), strict=True)
        colours = [ORANGE if name in ours else BLUE for name in figures]
        axes.barh(list(figures), means, xerr=errors, color=colours, ecolor=GREY)
        axes.invert_yaxis()
        axes.set_xlabel(metric)
        return as_svg(figure, f"{metric}: " + ", ".join(f"{name} {mean:.4f}" for name, (mean, _) in figures.items()))


def index_curves(calibrations: Mapping[str, pb.Calibration]) -> Markup:
    """Draw the recall against the time of a query, with a larger point at the chosen effort."""
    says = []
    with drawing(3.0) as figure:
        axes = figure.add_subplot()
        styles = zip((BLUE, ORANGE, GREEN), "os^", strict=True)
        for (name, calibration), (colour, mark) in zip(calibrations.items(), styles, strict=False):
            points = [point for point in calibration.curve if bool(point.search_k) == (calibration.engine != SCAN)]
            times, recalls = [point.latency_us for point in points], [point.recall for point in points]
            axes.plot(times, recalls, color=colour, marker=mark, markersize=4, label=name)
            chosen = [point for point in points if is_chosen(calibration, point)]
            axes.scatter([p.latency_us for p in chosen], [p.recall for p in chosen], color=colour, marker=mark, s=90)
            says += [f"{name} {point.recall:.3f} in {point.latency_us:.0f} µs" for point in chosen]
        axes.set(xlabel="µs per query", ylabel="recall@10")
        axes.legend(loc="lower right")
        return as_svg(figure, f"Recall by time of a query; chosen: {', '.join(says)}")


def recommended_by_popularity(ranked: np.ndarray, num_likes: np.ndarray) -> Markup:
    """Draw the share of recommendations and of likes that falls on each tenth of the movies, most liked first.

    ranked: int32[num_users, k], −1 for none.  num_likes: int64[num_movies], of those that may be recommended.
    """
    tenth = np.empty(len(num_likes), int)
    tenth[np.argsort(-num_likes, kind="stable")] = np.arange(len(num_likes)) * 10 // max(len(num_likes), 1)
    recommended = np.bincount(tenth[ranked[ranked >= 0]], minlength=10)
    liked = np.bincount(tenth, weights=num_likes, minlength=10)
    shares = [counts / max(counts.sum(), 1) for counts in (recommended, liked)]
    with drawing(2.6) as figure:
        axes = figure.add_subplot()
        places = np.arange(10)
        axes.bar(places - 0.2, shares[0], width=0.4, color=BLUE, label="recommendations")
        axes.bar(places + 0.2, shares[1], width=0.4, color=GREY, label="likes")
        axes.set_xticks(range(10), [f"{10 * n}–" for n in range(10)])
        axes.set(xlabel="movies, most liked first, in per cent of all")
        axes.yaxis.set_major_formatter(PERCENT)
        axes.legend()
        of_first = f"{shares[0][0]:.0%} of the recommendations and {shares[1][0]:.0%} of the likes"
        return as_svg(figure, f"The most liked tenth of the movies has {of_first}")


def movie_map(vectors: np.ndarray, movies: pd.DataFrame) -> Markup:
    """Draw the most liked movies on a plane, similar ones near each other; each genre has a mark and a colour.

    vectors: float32[num_movies, d].  movies: title, genres and popularity (how many users liked the movie), by row.
    """
    table = _placed(vectors, movies)
    names = table["genre"].value_counts().index[: len(MARKS) - 1]
    table["genre"] = table["genre"].where(table["genre"].isin(names), OTHERS)
    texts = []
    with drawing(5.6) as figure:
        axes = figure.add_subplot()
        for number, (genre, group) in enumerate(sorted(table.groupby("genre"), key=lambda pair: -len(pair[1]))):
            gid = f"genre-{number}"
            look = {"marker": MARKS[number], "color": COLOURS[number], "linewidths": 0.6}
            axes.scatter(group["x"], group["y"], s=9, gid=gid, label=genre, **look)
            texts.append((gid, [f"{title} ({genre})" for title in group["title"]]))
        axes.axis("off")
        figure.legend(loc="outside lower center", ncols=3, markerscale=1.8, handletextpad=0.2)
        return as_svg(figure, f"A map of the {len(table):,} most liked movies, with a mark for each first genre", texts)


def _placed(vectors: np.ndarray, movies: pd.DataFrame) -> pd.DataFrame:
    """The most liked movies with their places x, y and their first genre."""
    num_likes = movies["popularity"].to_numpy()
    shown = np.argsort(-num_likes, kind="stable")[:MAP_MOVIES]
    shown = shown[num_likes[shown] > 0]
    perplexity = min(30.0, max(1.0, (len(shown) - 1) / 3))
    places = TSNE(perplexity=perplexity, random_state=0, init="pca").fit_transform(vectors[shown])
    table = movies.iloc[shown].assign(x=places[:, 0], y=places[:, 1])
    return table.assign(genre=table["genres"].str.split("|").str[0].replace("", "no genre"))
