"""Writes a page about a release: what it was made of, how good it is, and what it recommends."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from trainer.release.catalogue import REPORTS
from trainer.report import figures, tables
from trainer.report.measure import K, Measurements, measure, recommended
from trainer.report.release import LoadedRelease
from trainer.report.tensorboard import write_tensorboard

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1, h2 { font-weight: 600; } h2 { margin-top: 3rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 14px; }
th, td { padding: 3px 12px 3px 0; text-align: left; vertical-align: top; } th { border-bottom: 1px solid #999; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } .note { color: #666; font-size: 14px; }
"""


@dataclass(frozen=True)
class Section:
    """A part of the page.  body: HTML.  figures: shown below it."""

    title: str
    body: str
    figures: Sequence[Figure] = ()


def write_report(release: LoadedRelease, artifacts: Path) -> Path:
    """Write reports/<version>.html, and reports/<version>-tensorboard/ beside it; return the page's path."""
    measured = measure(release)
    sections = [*_sections_on_quality(release, measured), *_sections_on_recommendations(release)]
    folder = artifacts / REPORTS
    folder.mkdir(exist_ok=True)
    logs = folder / f"{release.manifest.version}-tensorboard"
    trained = release.movies.head(release.manifest.num_trained_movies)
    write_tensorboard(logs, measured.losses, measured.metrics, release.embeddings, trained)
    page = folder / f"{release.manifest.version}.html"
    page.write_text(_page(release, sections), encoding="utf-8")
    return page


def _sections_on_quality(release: LoadedRelease, measured: Measurements) -> list[Section]:
    curves = [figures.losses(measured.losses), figures.recall_by_epochs(measured.recall_by_epochs, K)]
    index = release.manifest.index
    calibrations = {"Recommend": index.recommend, "SimilarMovies": index.similar_movies}
    return [
        Section("Data", tables.data_table(release), [figures.ratings(release.dataset.ratings)]),
        Section("Fit", "", curves),
        Section("Compared", tables.comparison_table(measured.comparison), [figures.comparison(measured.comparison, K)]),
        Section("Similar movies", tables.similar_movies_table(measured.similar_movies)),
        Section(
            "The index",
            "<p>Recall against an exact scan, and time per query, by search effort. The chosen effort is the large "
            "point.</p>",
            [figures.index_curves(calibrations)],
        ),
    ]


def _sections_on_recommendations(release: LoadedRelease) -> list[Section]:
    users, ranked = recommended(release)
    num_likes = release.num_likes[: release.manifest.num_trained_movies]
    return [
        Section(
            "What is recommended",
            "<p>How the first ten recommendations of every user spread over the catalogue, from its most liked tenth "
            "to its least liked.</p>",
            [figures.recommended_by_popularity(ranked, num_likes)],
        ),
        Section("Ten users", tables.example_users(release, users, ranked)),
        Section("Ten movies", tables.example_movies(release)),
        Section(
            "A map",
            "<p>The most liked movies, coloured by first genre. Similar movies lie near each other (t-SNE of "
            "similar_movies.npy).</p>",
            [figures.movie_map(release.similar, release.movies)],
        ),
    ]


def _page(release: LoadedRelease, sections: Sequence[Section]) -> str:
    title = f"Release {release.manifest.version}"
    parts = [f"<h1>{title}</h1>", f"<p>Trained on {html.escape(release.dataset.name)}.</p>"]
    for section in sections:
        parts += [f"<h2>{section.title}</h2>", section.body]
        parts += [figure.to_html(full_html=False, include_plotlyjs=False) for figure in section.figures]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
        f"<script>{get_plotlyjs()}</script><body>{''.join(parts)}</body></html>\n"
    )
