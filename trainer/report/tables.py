"""The report's tables, as HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

import numpy as np

from trainer.evaluation.comparison import OURS, Entry
from trainer.report.release import LoadedRelease

EXAMPLES, EXAMPLE_LENGTH = 10, 8


def data_table(release: LoadedRelease) -> str:
    """What the release was made of."""
    manifest, data = release.manifest, release.dataset
    threshold = release.positive_threshold
    note = "GENERATED: its figures mean nothing" if manifest.dataset.generated else ""
    num_liked = int((data.ratings["rating"] >= threshold).sum())
    rows = [
        ("data set", f"{data.name} {note}"),
        ("fingerprint", manifest.dataset.fingerprint),
        *(("understood", note) for note in manifest.dataset.notes),
        ("held out", manifest.dataset.split or "in time"),
        ("ratings", f"{manifest.num_ratings:,}, of which {num_liked:,} liked ({threshold:g} and more)"),
        ("users", f"{manifest.num_users:,}"),
        ("movies", f"{manifest.num_movies:,}, of which {manifest.num_trained_movies:,} with an embedding"),
        ("embedding", f"{manifest.embedding_dim} dimensions, temperature {manifest.hyperparameters.temperature:.3g}"),
        *(("published despite", reason) for reason in manifest.forced_despite),
    ]
    return _table(["", ""], rows)


def comparison_table(entries: Sequence[Entry]) -> str:
    """The metrics of our model and the baselines, with standard errors."""
    names = list(entries[0].scores.means)
    rows = []
    for entry in entries:
        errors = entry.scores.standard_errors
        metrics = [
            f"{mean:.4f}" + (f" ± {errors[name]:.4f}" if name in errors else "")
            for name, mean in entry.scores.means.items()
        ]
        rows.append((f"{entry.name} ◀" if entry.name == OURS else entry.name, *metrics, f"{entry.seconds:.1f}"))
    return _table(["model", *names, "seconds"], rows)


def similar_movies_table(metrics: Mapping[str, tuple[float, float]]) -> str:
    """The similarity metrics, with a note on what they mean.  metrics: by the source of the vectors."""
    rows = [(name, f"{matched:.3f}", f"{franchise:.3f}") for name, (matched, franchise) in metrics.items()]
    note = (
        "<p class=note>pm_hit_rate@10: of 100 equally popular movies, a held-out positive is among the ten nearest to "
        "the user's last liked movie (chance is .10). franchise@10: a sequel or prequel is among the ten nearest.</p>"
    )
    return _table(["similar movies by", "pm_hit_rate@10", "franchise@10"], rows) + note


def example_users(release: LoadedRelease, users: np.ndarray, ranked: np.ndarray) -> str:
    """What some users liked last, and what is recommended to them.

    users: int64[n], rows.  ranked: int32[n, k], rows of movies, −1 for none.
    """
    ratings = release.dataset.ratings.merge(release.movies[["movie_id", "title"]], on="movie_id")
    user_ids = np.unique(release.dataset.ratings["user_id"])[users]
    titles = release.movies["title"].to_numpy()
    rows = []
    for at in np.linspace(0, len(users) - 1, min(EXAMPLES, len(users))).astype(int):
        liked = ratings[(ratings["user_id"] == user_ids[at]) & (ratings["rating"] >= release.positive_threshold)]
        latest = liked.sort_values("timestamp", ascending=False)["title"].head(EXAMPLE_LENGTH)
        recommended = titles[ranked[at][ranked[at] >= 0][:EXAMPLE_LENGTH]]
        rows.append((str(user_ids[at]), list(latest), list(recommended)))
    return _table(["user", "liked last", "is recommended"], rows)


def example_movies(release: LoadedRelease) -> str:
    """Some movies, from the most liked to rarely liked ones, with the movies most similar to each."""
    num_trained = release.manifest.num_trained_movies
    most_liked_first = np.argsort(-release.num_likes, kind="stable")
    titles = release.movies["title"].to_numpy()
    rows = []
    for row in most_liked_first[np.geomspace(1, min(1000, num_trained), EXAMPLES).astype(int) - 1]:
        cosines = release.similar[:num_trained] @ release.similar[row]
        nearest = [other for other in np.argsort(-cosines, kind="stable")[: EXAMPLE_LENGTH + 1] if other != row]
        rows.append((titles[row], [f"{titles[other]} {cosines[other]:.2f}" for other in nearest[:EXAMPLE_LENGTH]]))
    return _table(["movie", "is like"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str | list[str]]]) -> str:
    """Return an HTML table; a list in a cell becomes lines. Numbers stand at the right, if the table has a header."""

    def cell(value: str | list[str]) -> str:
        lines = value if isinstance(value, list) else [value]
        is_number = len(lines) == 1 and re.fullmatch(r"[\d.,]+", lines[0]) and any(header)
        kind = " class=number" if is_number else ""
        return f"<td{kind}>" + "<br>".join(html.escape(str(line)) for line in lines) + "</td>"

    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
