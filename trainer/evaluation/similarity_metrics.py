"""How good "similar movies" are: two measures that neither popularity nor genres alone can game.

pm_hit_rate@10 (popularity-matched): of a user's last liked movie in the training part, rank one held-out positive among
the 99 unseen movies nearest to it in popularity; the share of those ranked in the first ten. Chance is 0.1.
franchise@10: the share of movies with a sequel or prequel, by title, that have one among their ten nearest.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from trainer.data.interactions import rows_of
from trainer.evaluation.task import Task

NUM_CANDIDATES, FIRST = 99, 10
MIN_RATINGS, MAX_PER_USER = 5, 5  # of a held-out positive
MIN_FRANCHISE_RATINGS = 20


def pm_hit_rate(vectors: np.ndarray, task: Task, train: pd.DataFrame, test: pd.DataFrame) -> float:
    """vectors: float32[num_trained_movies, d], unit rows.  train, test: all ratings of the task."""
    known = task.known
    num_movies = known.num_trained_movies
    trained = known.movie_ids[:num_movies]
    popularity = np.asarray(known.watched_trained.sum(axis=0)).ravel()
    by_popularity = np.argsort(popularity, kind="stable")
    place = np.empty(num_movies, int)
    place[by_popularity] = np.arange(num_movies)
    in_time = ["timestamp", "movie_id"]
    liked = train[train["rating"] >= known.positive_threshold].sort_values(in_time, kind="stable")
    last_liked = liked.groupby("user_id")["movie_id"].last()
    held_out = test[(test["rating"] >= known.positive_threshold) & test["user_id"].isin(last_liked.index)]
    seen_by = pd.concat([train, test]).groupby("user_id")["movie_id"]
    hits = []
    for user_id, movie_ids in held_out.sort_values(in_time, kind="stable").groupby("user_id")["movie_id"]:
        (query,) = rows_of(trained, np.array([last_liked[user_id]]))
        seen = np.zeros(num_movies + 1, np.bool_)  # the last is for movies without a row
        seen[rows_of(trained, seen_by.get_group(user_id).to_numpy())] = True
        rows = rows_of(trained, movie_ids.to_numpy())
        for positive in [row for row in rows if row >= 0 and popularity[row] >= MIN_RATINGS][:MAX_PER_USER]:
            nearest = by_popularity[np.argsort(np.abs(np.arange(num_movies) - place[positive]), kind="stable")]
            candidates = nearest[~seen[nearest]][:NUM_CANDIDATES]
            better = vectors[candidates] @ vectors[query] >= vectors[positive] @ vectors[query]
            hits.append(np.count_nonzero(better) < FIRST)
    return float(np.mean(hits)) if hits else float("nan")


def franchise_hit_rate(vectors: np.ndarray, task: Task, titles: Sequence[str]) -> float:
    """vectors: float32[num_trained_movies, d], unit rows.  titles: of these movies, in row order."""
    ratings = np.asarray(task.known.watched_trained.sum(axis=0)).ravel()
    franchises = defaultdict(list)
    for row, title in enumerate(titles):
        name = franchise_of(title)
        if ratings[row] >= MIN_FRANCHISE_RATINGS and len(name) > 2:
            franchises[name].append(row)
    hits = []
    for rows in franchises.values():
        for row in rows if len(rows) > 1 else ():
            cosines = vectors @ vectors[row]
            cosines[row] = -np.inf
            hits.append(bool(np.isin(np.argsort(-cosines, kind="stable")[:FIRST], rows).any()))
    return float(np.mean(hits)) if hits else float("nan")


def franchise_of(title: str) -> str:
    """What is left of a title without year, article, number and what follows a colon; "" for none."""
    name = re.sub(r"\(.*?\)", "", title).lower()
    name = re.sub(r", (the|a|an)\b", "", name).strip()
    name = re.split(r":| - |\bepisode\b|\bpart\b|\band the\b", name)[0]
    name = re.sub(r"\b(\d+|i{1,3}|iv|vi{0,3}|ix|x)\b.*$", "", name)
    return re.sub(r"[^a-z ]", "", name).strip()
