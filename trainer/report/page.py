"""Writes a page about a release: what it was made of, how good it is, and what it recommends."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from trainer.release.catalogue import REPORTS
from trainer.report import examples, facts, figures
from trainer.report.measure import K, Measurements, measure, recommended
from trainer.report.release import LoadedRelease
from trainer.report.tensorboard import write_tensorboard

COMPARED = (f"recall@{K}", f"ndcg@{K}")


def write_report(release: LoadedRelease, artifacts: Path) -> Path:
    """Write reports/<version>.html, and reports/<version>-tensorboard/ beside it; return the page's path."""
    measured = None if release.difference else measure(release)
    page = _page(release, measured)
    folder = artifacts / REPORTS
    folder.mkdir(exist_ok=True)
    num_trained = release.manifest.num_trained_movies
    write_tensorboard(
        folder / f"{release.manifest.version}-tensorboard",
        measured.losses if measured is not None else [],
        {figure.name: figure.value for figure in facts.figures(release.manifest)},
        release.embeddings[:num_trained],
        release.movies.head(num_trained),
    )
    path = folder / f"{release.manifest.version}.html"
    path.write_text(page, encoding="utf-8")
    return path


def _page(release: LoadedRelease, measured: Measurements | None) -> str:
    environment = Environment(
        loader=PackageLoader("trainer.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    manifest = release.manifest
    return environment.get_template("report.html").render(
        version=manifest.version,
        published=facts.publication(manifest.version),
        written=f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
        figures=facts.figures(manifest),
        num_scored=max((evaluation.num_users for evaluation in manifest.evaluations), default=0),
        data=facts.data(release),
        settings=facts.settings(manifest),
        previous=release.previous,
        changes=facts.changes(release),
        difference=release.difference,
        measured=measured,
        index=_index(release),
        **_on_ratings(release),
        **_on_quality(release, measured),
        **_on_recommendations(release),
    )


def _on_ratings(release: LoadedRelease) -> dict[str, Any]:
    """The figures on the release's ratings."""
    per_user = np.diff(release.watched.indptr)
    per_movie = np.bincount(release.watched.indices)
    spreads = [
        figures.ratings_per(counts[counts > 0], what) for counts, what in ((per_user, "user"), (per_movie, "movie"))
    ]
    values = [] if release.difference else [figures.rating_values(release.dataset.ratings["rating"])]
    return {"on_ratings": [*values, *spreads]}


def _on_quality(release: LoadedRelease, measured: Measurements | None) -> dict[str, Any]:
    """The rankings with their metrics, and the fit's figures."""
    rankings = facts.rankings(release.manifest)
    for entry in measured.baselines if measured is not None else ():
        if entry.name not in rankings:
            errors = entry.scores.standard_errors
            rankings[entry.name] = {name: (mean, errors.get(name, 0.0)) for name, mean in entry.scores.means.items()}
    best_first = dict(sorted(rankings.items(), key=lambda ranking: -ranking[1][COMPARED[0]][0]))
    ours = tuple(facts.OURS.values())
    bars = [
        figures.comparison({name: found[metric] for name, found in best_first.items()}, metric, ours)
        for metric in COMPARED
        if best_first
    ]
    curves = (
        [figures.losses(measured.losses), figures.recall_by_epochs(measured.recall_by_epochs, K)] if measured else []
    )
    return {"rankings": best_first, "ours": ours, "on_rankings": bars, "on_fit": curves}


def _index(release: LoadedRelease) -> Any:
    """The curves of the index; None if the manifest has none."""
    index = release.manifest.index
    found = {"users": index.recommend, "newcomers": index.newcomers, "similar movies": index.similar_movies}
    measured = {name: calibration for name, calibration in found.items() if calibration.curve}
    return figures.index_curves(measured) if measured else None


def _on_recommendations(release: LoadedRelease) -> dict[str, Any]:
    """What the release's own vectors recommend; without its model, only what concerns movies."""
    about: dict[str, Any] = {
        "movies": examples.movies(release),
        "map": figures.movie_map(release.similar, release.movies),
        "users": [],
        "on_recommended": None,
        "coverage": 0.0,
    }
    if release.model is not None:
        rows, ranked = recommended(release)
        num_likes = release.num_likes[: len(release.embeddings)]
        about["users"] = examples.users(release, rows, ranked)
        about["on_recommended"] = figures.recommended_by_popularity(ranked, num_likes)
        about["coverage"] = len(np.unique(ranked[ranked >= 0])) / max(len(num_likes), 1)
    return about
