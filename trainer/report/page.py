"""A page about a release that anybody can open: what it was made of, how good it is, and what it recommends."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from protos.release.v1 import manifest_pb2 as pb
from trainer.cli.console import epochs_bar
from trainer.data.dataset import Dataset
from trainer.data.interactions import interactions_of
from trainer.data.records import DataError
from trainer.data.split import split
from trainer.evaluation.comparison import OURS, Entry, compare, compare_similar_movies
from trainer.evaluation.evaluate import evaluate, exact_scores
from trainer.evaluation.task import task_of
from trainer.index.ranking import exact_ranking
from trainer.model.fold_in import fold_in, user_temperatures
from trainer.model.hyperparameters import Hyperparameters
from trainer.release.catalogue import published_releases, releases_folder
from trainer.report import figures
from trainer.report.tensorboard import write_tensorboard

K = 20
EXAMPLES, EXAMPLE_LENGTH = 10, 8
CURVE_EPOCHS = (5, 10, 20)
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1, h2 { font-weight: 600; } h2 { margin-top: 3rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 14px; }
th, td { padding: 3px 12px 3px 0; text-align: left; vertical-align: top; } th { border-bottom: 1px solid #999; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } .note { color: #666; font-size: 14px; }
"""


@dataclass(frozen=True)
class Loaded:
    """A published release, and the data it was made of."""

    manifest: pb.Manifest
    embeddings: np.ndarray  # float32[num_trained_movies, d]
    similar: np.ndarray  # float32[num_movies, any]
    movies: pd.DataFrame  # as movies.csv, in row order
    dataset: Dataset
    threshold: float
    settings: Hyperparameters


def load(artifacts: Path, version: int | None, dataset: Dataset) -> Loaded:
    """version: None for the newest.  Raises DataError if there is none, or if it was made of other data."""
    found = [release for release in published_releases(artifacts) if version in (None, release.version)]
    if not found:
        raise DataError(f"{artifacts}: expected release {version or 'of any version'}, found none (see `releases`)")
    folder, manifest = releases_folder(artifacts) / str(found[-1].version), found[-1].manifest
    if manifest is None:
        raise DataError(f"{folder}: its manifest cannot be read")
    if manifest.dataset.fingerprint != dataset.fingerprint:
        raise DataError(
            f"{folder}: was trained on {manifest.dataset.name} with fingerprint {manifest.dataset.fingerprint[:12]}…, "
            f"got {dataset.name} with {dataset.fingerprint[:12]}…: name its own data with --dataset or --data"
        )
    fitted = manifest.hyperparameters
    settings = Hyperparameters(
        embedding_dim=manifest.embedding_dim,
        epochs=fitted.epochs,
        batch_size=fitted.batch_size,
        learning_rate=fitted.learning_rate,
        temperature=fitted.temperature,
        watched_weight=fitted.watched_weight,
        recency=fitted.recency,
        seed=fitted.seed,
    )
    movies = pd.read_csv(folder / "movies.csv", keep_default_na=False)
    embeddings, similar = np.load(folder / "embeddings.npy"), np.load(folder / "similar_movies.npy")
    return Loaded(manifest, embeddings, similar, movies, dataset, fitted.positive_threshold, settings)


def write_report(release: Loaded, artifacts: Path) -> Path:
    """Writes reports/<version>.html, and reports/<version>-tensorboard/ beside it; returns the page."""
    train, test = split(release.dataset.ratings)
    task = task_of(train, test, release.threshold)
    losses: list[float] = []
    with epochs_bar("fit on each user's first 80 %", release.settings.epochs) as on_epoch:

        def keep(epoch: int, loss: float) -> None:
            losses.append(loss)
            on_epoch(epoch, loss)

        report = evaluate(task, release.settings, K, keep)
    entries = []
    for entry in compare([report]):
        print(f"  {entry.name}: recall@{K} {entry.scores.means[f'recall@{K}']:.4f}", flush=True)
        entries.append(entry)
    shorter = {epochs: exact_scores(task, replace(release.settings, epochs=epochs), K) for epochs in CURVE_EPOCHS}
    curve = {epochs: scores.means[f"recall@{K}"] for epochs, scores in shorter.items()}
    curve[release.settings.epochs] = report.scores["exact"].means[f"recall@{K}"]
    similar = compare_similar_movies(report, train, test, release.dataset.movies)
    users, ranked = _recommended(release)
    likes = release.movies["popularity"].to_numpy()
    index = release.manifest.index
    sections = [
        ("Data", _data_table(release), [figures.ratings(release.dataset.ratings)]),
        ("Fit", "", [figures.losses(losses), figures.recall_by_epochs(curve, K)]),
        ("Compared", _comparison_table(entries), [figures.comparison(entries, K)]),
        ("Similar movies", _similar_table(similar), []),
        (
            "The index",
            "<p>Recall against an exact scan, and time per query, by search effort. The chosen points are large.</p>",
            [figures.index_curves({"Recommend": index.recommend, "SimilarMovies": index.similar_movies})],
        ),
        (
            "What is recommended",
            "<p>How the first ten of every user spread over the catalogue, from its most liked tenth to its least.</p>",
            [figures.popularity_of(ranked[:, :10], likes[: release.manifest.num_trained_movies])],
        ),
        ("Ten users", _example_users(release, users, ranked), []),
        ("Ten movies", _example_movies(release), []),
        (
            "A map",
            "<p>The most liked movies, alike ones near each other (t-SNE of similar_movies.npy), by first genre.</p>",
            [figures.movie_map(release.similar, release.movies)],
        ),
    ]
    folder = artifacts / "reports"
    folder.mkdir(exist_ok=True)
    metrics = report.scores["index"].means
    trained = release.movies.head(release.manifest.num_trained_movies)
    write_tensorboard(folder / f"{release.manifest.version}-tensorboard", losses, metrics, release.embeddings, trained)
    page = folder / f"{release.manifest.version}.html"
    page.write_text(_page(release, sections), encoding="utf-8")
    return page


def _recommended(release: Loaded) -> tuple[np.ndarray, np.ndarray]:
    """(int64 rows of users with likes, int32[…, EXAMPLE_LENGTH or more] rows of what they are offered)"""
    movie_ids = release.dataset.movies["movie_id"].to_numpy()
    known = interactions_of(release.dataset.ratings, release.threshold, movie_ids)
    history = known.history(release.settings.recency, release.settings.watched_weight)
    users = np.flatnonzero(np.diff(history.indptr))
    temperatures = user_temperatures(release.settings.temperature, history)
    folded = fold_in(history[users], release.embeddings, temperatures[users])
    return users, exact_ranking(folded, release.embeddings, known.watched_trained[users], max(10, EXAMPLE_LENGTH))


def _data_table(release: Loaded) -> str:
    manifest, data = release.manifest, release.dataset
    note = "GENERATED: not for figures" if manifest.dataset.generated else ""
    liked = int((data.ratings["rating"] >= release.threshold).sum())
    rows = [
        ("data set", f"{data.name} {note}"),
        ("fingerprint", manifest.dataset.fingerprint),
        ("ratings", f"{manifest.num_ratings:,}, of which {liked:,} liked ({release.threshold:g} and more)"),
        ("users", f"{manifest.num_users:,}"),
        ("movies", f"{manifest.num_movies:,}, of which {manifest.num_trained_movies:,} with an embedding"),
        ("embedding", f"{manifest.embedding_dim} dimensions, temperature {release.settings.temperature:.3g}"),
        *(("published despite", reason) for reason in manifest.forced_despite),
    ]
    return _table(["", ""], rows)


def _comparison_table(entries: Sequence[Entry]) -> str:
    names = list(entries[0].scores.means)
    rows = []
    for entry in entries:
        errors = entry.scores.standard_errors
        figures_ = [
            f"{mean:.4f}" + (f" ± {errors[name]:.4f}" if name in errors else "")
            for name, mean in entry.scores.means.items()
        ]
        rows.append((f"{entry.name} ◀" if entry.name == OURS else entry.name, *figures_, f"{entry.seconds:.1f}"))
    return _table(["model", *names, "seconds"], rows)


def _similar_table(figures_: dict[str, tuple[float, float]]) -> str:
    rows = [(name, f"{matched:.3f}", f"{franchise:.3f}") for name, (matched, franchise) in figures_.items()]
    note = (
        "<p class=note>pm_hit_rate@10: a held-out positive is among the ten nearest, of 100 equally popular movies, to "
        "the user's last liked one (chance .10). franchise@10: a sequel or prequel is among the ten nearest.</p>"
    )
    return _table(["similar movies by", "pm_hit_rate@10", "franchise@10"], rows) + note


def _example_users(release: Loaded, users: np.ndarray, ranked: np.ndarray) -> str:
    ratings = release.dataset.ratings.merge(release.movies[["movie_id", "title"]], on="movie_id")
    user_ids = np.unique(release.dataset.ratings["user_id"])[users]
    titles = release.movies["title"].to_numpy()
    rows = []
    for at in np.linspace(0, len(users) - 1, min(EXAMPLES, len(users))).astype(int):
        rated = ratings[(ratings["user_id"] == user_ids[at]) & (ratings["rating"] >= release.threshold)]
        latest = rated.sort_values("timestamp", ascending=False)["title"].head(EXAMPLE_LENGTH)
        offered = titles[ranked[at][ranked[at] >= 0][:EXAMPLE_LENGTH]]
        rows.append((str(user_ids[at]), list(latest), list(offered)))
    return _table(["user", "liked last", "is offered"], rows)


def _example_movies(release: Loaded) -> str:
    num_trained = release.manifest.num_trained_movies
    popular = np.argsort(-release.movies["popularity"].to_numpy(), kind="stable")
    titles = release.movies["title"].to_numpy()
    rows = []
    for row in popular[np.geomspace(1, min(1000, num_trained), EXAMPLES).astype(int) - 1]:
        cosines = release.similar[:num_trained] @ release.similar[row]
        nearest = [other for other in np.argsort(-cosines, kind="stable")[: EXAMPLE_LENGTH + 1] if other != row]
        rows.append((titles[row], [f"{titles[other]} {cosines[other]:.2f}" for other in nearest[:EXAMPLE_LENGTH]]))
    return _table(["movie", "is like"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str | list[str]]]) -> str:
    def cell(value: str | list[str]) -> str:
        lines = value if isinstance(value, list) else [value]
        is_number = len(lines) == 1 and re.fullmatch(r"[\d.,]+", lines[0]) and any(header)
        kind = " class=number" if is_number else ""
        return f"<td{kind}>" + "<br>".join(html.escape(str(line)) for line in lines) + "</td>"

    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _page(release: Loaded, sections: Sequence[tuple[str, str, Sequence[Figure]]]) -> str:
    title = f"Release {release.manifest.version}"
    parts = [f"<h1>{title}</h1>", f"<p>Trained on {html.escape(release.dataset.name)}.</p>"]
    for name, text, drawn in sections:
        parts += [f"<h2>{name}</h2>", text]
        parts += [figure.to_html(full_html=False, include_plotlyjs=False) for figure in drawn]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
        f"<script>{get_plotlyjs()}</script><body>{''.join(parts)}</body></html>\n"
    )
