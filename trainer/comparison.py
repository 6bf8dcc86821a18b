"""Our model against baselines, on the same split: the table a sceptic asks for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from trainer.baselines import baselines, cosine_similarities, ease_weights
from trainer.evaluation import evaluate
from trainer.hyperparameters import Hyperparameters
from trainer.interactions import rows_of
from trainer.model import unit_rows
from trainer.similar_movies import similar_movie_vectors
from trainer.similarity_metrics import franchise_hit_rate, pm_hit_rate
from trainer.task import HIT_RATE_K, Scores, Task

OURS = "this model, through the index"


@dataclass(frozen=True)
class Entry:
    """One line of the table.  seconds: to fit and rank, once."""

    name: str
    scores: Scores
    seconds: float


def compare(task: Task, settings: Hyperparameters, seeds: int, k: int) -> Iterator[Entry]:
    """Baselines first, then ours, each user's values averaged over the seeds; entry by entry, for it takes a while."""
    longest = max(k, HIT_RATE_K)
    for name, rank in baselines(task)[0].items():
        start = time.perf_counter()
        ranked = rank(task, longest)
        yield Entry(name, task.scores(ranked, k), time.perf_counter() - start)
    start = time.perf_counter()
    reports = [evaluate(task, replace(settings, seed=settings.seed + seed), k) for seed in range(seeds)]
    seconds = (time.perf_counter() - start) / seeds
    for ranking, name in (("exact", "this model, exact search"), ("index", OURS)):
        of_seeds = [report.scores[ranking] for report in reports]
        per_user = {metric: np.mean([s.per_user[metric] for s in of_seeds], axis=0) for metric in of_seeds[0].per_user}
        yield Entry(name, Scores(per_user, float(np.mean([s.coverage for s in of_seeds]))), seconds)


def paired_difference(entry: Entry, ours: Entry, metric: str) -> tuple[float, float]:
    """(mean over users of theirs − ours, its standard error)"""
    differences = entry.scores.per_user[metric] - ours.scores.per_user[metric]
    error = float(differences.std(ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else 0.0
    return float(differences.mean()), error


def compare_similar_movies(
    task: Task, train: pd.DataFrame, test: pd.DataFrame, movies: pd.DataFrame, settings: Hyperparameters
) -> dict[str, tuple[float, float]]:
    """name → (pm_hit_rate@10, franchise@10)"""
    known = task.known
    trained = known.movie_ids[: known.num_trained_movies]
    table = movies.iloc[rows_of(movies["movie_id"].to_numpy(), trained)]
    learned = evaluate(task, settings).embeddings.movies
    candidates = {"learned embeddings": learned, "similar_movies.npy": similar_movie_vectors(learned, table)}
    if "EASE" in baselines(task)[0]:
        weights = ease_weights(known.positives)
        rows = {"item-kNN (cosine)": cosine_similarities(known.positives), "EASE": weights + weights.T}
        candidates = {**{name: unit_rows(vectors + 1e-12) for name, vectors in rows.items()}, **candidates}
    titles = table["title"].tolist()
    return {
        name: (pm_hit_rate(vectors, task, train, test), franchise_hit_rate(vectors, task, titles))
        for name, vectors in candidates.items()
    }
