"""Compares our model with baselines on the same split."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trainer.data.interactions import rows_of
from trainer.evaluation.baselines import baselines, cosine_similarities, ease_weights
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.metrics import standard_error
from trainer.evaluation.similarity_metrics import franchise_hit_rate, pm_hit_rate
from trainer.evaluation.task import HIT_RATE_K, Scores, Task
from trainer.model.cosine_softmax import Embeddings
from trainer.model.similar_movies import similar_movie_vectors
from trainer.model.vectors import unit_rows

OURS = "this model, through the index"


@dataclass(frozen=True)
class Entry:
    """One line of the comparison.  seconds: how long fitting and ranking took, once."""

    name: str
    scores: Scores
    seconds: float


def compare(task: Task, evaluations: Sequence[Evaluation]) -> Iterator[Entry]:
    """Yield an entry per baseline as soon as it is scored, then our model's, averaged user by user over the seeds.

    evaluations: of the task, with one k and different seeds.
    """
    yield from compare_baselines(task, evaluations[0].k)
    seconds = float(np.mean([evaluation.seconds for evaluation in evaluations]))
    for ranking, name in (("exact", "this model, exact search"), ("index", OURS)):
        of_seeds = [evaluation.scores[ranking] for evaluation in evaluations]
        per_user = {metric: np.mean([s.per_user[metric] for s in of_seeds], axis=0) for metric in of_seeds[0].per_user}
        yield Entry(name, Scores(per_user, float(np.mean([s.coverage for s in of_seeds]))), seconds)


def compare_baselines(task: Task, k: int) -> Iterator[Entry]:
    """Yield an entry per baseline as soon as it is scored."""
    for name, rank in baselines(task)[0].items():
        start = time.perf_counter()
        ranked = rank(task, max(k, HIT_RATE_K))
        yield Entry(name, task.scores(ranked, k), time.perf_counter() - start)


def paired_difference(entry: Entry, ours: Entry, metric: str) -> tuple[float, float]:
    """Return the mean over users of the entry's value minus ours, and the standard error of that mean."""
    differences = entry.scores.per_user[metric] - ours.scores.per_user[metric]
    return float(differences.mean()), standard_error(differences)


def compare_similar_movies(
    task: Task, embeddings: Embeddings, train: pd.DataFrame, test: pd.DataFrame, movies: pd.DataFrame
) -> dict[str, tuple[float, float]]:
    """Return (pm_hit_rate@10, franchise@10) for each source of movie vectors, by its name.

    embeddings: fitted on the task's training part.  train, test: all ratings of the task.
    movies: all movies, as in `Dataset.movies`.
    """
    known = task.known
    trained = known.movie_ids[: known.num_trained_movies]
    table = movies.iloc[rows_of(movies["movie_id"].to_numpy(), trained)]
    learned, order = embeddings.parts.tastes, embeddings.parts.order
    candidates = {"learned embeddings": learned, "similar_movies.npy": similar_movie_vectors(learned, order, table)}
    if "EASE" in baselines(task)[0]:
        weights = ease_weights(known.positives)
        rows = {"item-kNN (cosine)": cosine_similarities(known.positives), "EASE": weights + weights.T}
        candidates = {**{name: unit_rows(vectors) for name, vectors in rows.items()}, **candidates}
    titles = table["title"].tolist()
    return {
        name: (pm_hit_rate(vectors, task, train, test), franchise_hit_rate(vectors, task, titles))
        for name, vectors in candidates.items()
    }
