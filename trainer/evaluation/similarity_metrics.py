"""How good similar movies are, by two metrics that neither popularity nor genres alone can satisfy.

pm_hit_rate@10 (popularity-matched): the query is the movie that a user liked last in the training part. One held-out
positive is ranked among the 99 unseen movies whose popularity is nearest to its own. The metric is the share of such
positives that rank in the first ten; chance is 0.1.
franchise@10: the share of movies with a sequel or prequel, by title, that have one among their ten nearest.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from trainer.data.interactions import rows_of
from trainer.evaluation.task import Task

NUM_CANDIDATES, K = 99, 10
MIN_RATINGS, MAX_PER_USER = 5, 5  # of a held-out positive; how many positives of one user count
MIN_FRANCHISE_RATINGS = 20


def pm_hit_rate(vectors: np.ndarray, task: Task, train: pd.DataFrame, test: pd.DataFrame) -> float:
    """Return pm_hit_rate@10 of these vectors, or NaN if no user has a held-out positive to rank.

    vectors: float32[num_trained_movies, d], unit rows.  train, test: all ratings of the task.
    """
    num_ratings = _num_ratings(task)
    by_popularity = np.argsort(num_ratings, kind="stable")
    place = np.empty(len(num_ratings), int)  # int[num_movies]: each row's place in that order
    place[by_popularity] = np.arange(len(num_ratings))
    hits = []
    for query, positives, is_seen in _queries(task, train, test):
        for positive in [row for row in positives if row >= 0 and num_ratings[row] >= MIN_RATINGS][:MAX_PER_USER]:
            nearest = by_popularity[np.argsort(np.abs(np.arange(len(place)) - place[positive]), kind="stable")]
            candidates = nearest[~is_seen[nearest]][:NUM_CANDIDATES]
            better = vectors[candidates] @ vectors[query] >= vectors[positive] @ vectors[query]
            hits.append(np.count_nonzero(better) < K)
    return float(np.mean(hits)) if hits else float("nan")


def franchise_hit_rate(vectors: np.ndarray, task: Task, titles: Sequence[str]) -> float:
    """Return franchise@10 of these vectors, or NaN if no movie has a sequel.

    vectors: float32[num_trained_movies, d], unit rows.  titles: of these movies, in row order.
    """
    num_ratings = _num_ratings(task)
    franchises = defaultdict(list)
    for row, title in enumerate(titles):
        name = franchise_of(title)
        if num_ratings[row] >= MIN_FRANCHISE_RATINGS and len(name) > 2:
            franchises[name].append(row)
    hits = []
    for rows in franchises.values():
        for row in rows if len(rows) > 1 else ():
            cosines = vectors @ vectors[row]
            cosines[row] = -np.inf
            hits.append(bool(np.isin(np.argsort(-cosines, kind="stable")[:K], rows).any()))
    return float(np.mean(hits)) if hits else float("nan")


def franchise_of(title: str) -> str:
    """Return a title without year, article, number and subtitle, in lower case; "" if nothing is left."""
    name = re.sub(r"\(.*?\)", "", title).lower()
    name = re.sub(r", (the|a|an)\b", "", name).strip()
    name = re.split(r":| - |\bepisode\b|\bpart\b|\band the\b", name)[0]
    name = re.sub(r"\b(\d+|i{1,3}|iv|vi{0,3}|ix|x)\b.*$", "", name)
    return re.sub(r"[^a-z ]", "", name).strip()


def _num_ratings(task: Task) -> np.ndarray:
    """Return float32[num_trained_movies]: how many users of the training part rated each movie."""
    num_ratings: np.ndarray = np.asarray(task.known.watched_trained.sum(axis=0)).ravel()
    return num_ratings


def _queries(task: Task, train: pd.DataFrame, test: pd.DataFrame) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield for each user (the row liked last in the training part, the held-out positives' rows, which rows are seen).

    The positives are in order of time, −1 for a movie without a row. The last is bool[num_trained_movies + 1]; its last
    element stands for all movies without a row.
    """
    known = task.known
    trained = known.movie_ids[: known.num_trained_movies]
    by_time = ["timestamp", "movie_id"]
    liked = train[train["rating"] >= known.positive_threshold].sort_values(by_time, kind="stable")
    last_liked = liked.groupby("user_id")["movie_id"].last()
    held_out = test[(test["rating"] >= known.positive_threshold) & test["user_id"].isin(last_liked.index)]
    seen_by = pd.concat([train, test]).groupby("user_id")["movie_id"]
    for user_id, movie_ids in held_out.sort_values(by_time, kind="stable").groupby("user_id")["movie_id"]:
        (query,) = rows_of(trained, np.array([last_liked[user_id]]))
        is_seen = np.zeros(known.num_trained_movies + 1, np.bool_)
        is_seen[rows_of(trained, seen_by.get_group(user_id).to_numpy())] = True
        yield query, rows_of(trained, movie_ids.to_numpy()), is_seen
