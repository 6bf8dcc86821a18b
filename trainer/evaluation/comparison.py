"""Our model against baselines, on the same split: the table a sceptic asks for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trainer.data.interactions import rows_of
from trainer.evaluation.baselines import baselines, cosine_similarities, ease_weights
from trainer.evaluation.evaluate import Report
from trainer.evaluation.metrics import standard_error
from trainer.evaluation.similarity_metrics import franchise_hit_rate, pm_hit_rate
from trainer.evaluation.task import HIT_RATE_K, Scores
from trainer.model.similar_movies import similar_movie_vectors
from trainer.model.vectors import unit_rows

OURS = "this model, through the index"


@dataclass(frozen=True)
class Entry:
    """One line of the table.  seconds: to fit and rank, once."""

    name: str
    scores: Scores
    seconds: float


def compare(reports: Sequence[Report]) -> Iterator[Entry]:
    """Baselines first, one by one, for they take a while; then ours, each user's values averaged over the reports.

    reports: of one task and k, with different seeds.
    """
    task, k = reports[0].task, reports[0].k
    for name, rank in baselines(task)[0].items():
        start = time.perf_counter()
        ranked = rank(task, max(k, HIT_RATE_K))
        yield Entry(name, task.scores(ranked, k), time.perf_counter() - start)
    seconds = float(np.mean([report.seconds for report in reports]))
    for ranking, name in (("exact", "this model, exact search"), ("index", OURS)):
        of_seeds = [report.scores[ranking] for report in reports]
        per_user = {metric: np.mean([s.per_user[metric] for s in of_seeds], axis=0) for metric in of_seeds[0].per_user}
        yield Entry(name, Scores(per_user, float(np.mean([s.coverage for s in of_seeds]))), seconds)


def paired_difference(entry: Entry, ours: Entry, metric: str) -> tuple[float, float]:
    """(mean over users of theirs − ours, its standard error)"""
    differences = entry.scores.per_user[metric] - ours.scores.per_user[metric]
    return float(differences.mean()), standard_error(differences)


def compare_similar_movies(
    report: Report, train: pd.DataFrame, test: pd.DataFrame, movies: pd.DataFrame
) -> dict[str, tuple[float, float]]:
    """name → (pm_hit_rate@10, franchise@10).  train, test: all ratings of the report's task.  movies: all movies."""
    task, known = report.task, report.task.known
    trained = known.movie_ids[: known.num_trained_movies]
    table = movies.iloc[rows_of(movies["movie_id"].to_numpy(), trained)]
    learned = report.embeddings.movies
    candidates = {"learned embeddings": learned, "similar_movies.npy": similar_movie_vectors(learned, table)}
    if "EASE" in baselines(task)[0]:
        weights = ease_weights(known.positives)
        rows = {"item-kNN (cosine)": cosine_similarities(known.positives), "EASE": weights + weights.T}
        candidates = {**{name: unit_rows(vectors) for name, vectors in rows.items()}, **candidates}
    titles = table["title"].tolist()
    return {
        name: (pm_hit_rate(vectors, task, train, test), franchise_hit_rate(vectors, task, titles))
        for name, vectors in candidates.items()
    }
