"""Recall for users the model was not trained on, folded in from all they watched or from liked movies, in order or not.

    MOVIELENS_DIR=… python -m benchmarks.newcomers
    python -m benchmarks.newcomers --train T.csv --test E.csv

The users are split into twelve parts. For each part, a model is trained on the users of the other parts, and the users
of the part are folded in. The reference is a model trained on all users of the same split.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from trainer.data.given_split import read_split
from trainer.data.interactions import Interactions, interactions_of, rows_of
from trainer.data.movielens import CACHE, DEFAULT_DATASET, find_dataset
from trainer.data.ratings import default_positive_threshold
from trainer.data.split import split
from trainer.evaluation.evaluate import hyperparameters_for
from trainer.evaluation.task import task_of
from trainer.index.ranking import exact_ranking
from trainer.model.cosine_softmax import Embeddings, fit
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.newcomers import counts_in_order, newcomer_embeddings
from trainer.model.watching_order import RECENCY, WATCHED_WEIGHT

K, FOLDS, LIKES = 20, 12, (10, 5, 3)


def main(argv: Sequence[str]) -> None:
    train, test = parts_of(argv, __doc__)
    threshold = default_positive_threshold(train)
    task = task_of(train, test, threshold)
    settings = hyperparameters_for(task, Hyperparameters())
    known = task.known
    all_history = known.history(settings.recency, settings.watched_weight)
    histories = {"all they watched": (all_history, known.history(RECENCY, WATCHED_WEIGHT))}
    for count in (None, *LIKES):
        newer = latest_likes(known, count)
        name = f"{count} liked movies" if count is not None else "all liked movies"
        histories[name] = (newer.sign(), newer.sign())  # a set
        histories[f"{name}, in order"] = counts_in_order(newer)
    trained_in = fit(known, settings)
    tables = {name: np.zeros_like(trained_in.users) for name in histories}
    ranked = {name: np.empty((len(task.user_ids), K), np.int32) for name in histories}
    for fold in np.array_split(np.random.default_rng(0).permutation(len(known.user_ids)), FOLDS):
        others = _fit_without(known, fold, train, threshold, settings)
        in_fold = np.isin(task.user_rows, fold)
        for name, both in histories.items():
            has_embedding = sparse.diags(others.movies.any(axis=1).astype(np.float32))
            theirs, last = (sparse.csr_matrix(own[fold] @ has_embedding) for own in both)
            tables[name][fold] = newcomer_embeddings(theirs, others, last)
            users = task.of_users(tables[name])[in_fold]
            ranked[name][in_fold] = exact_ranking(users, others.movies, task.watched[in_fold], K)
    rankings = {
        "trained in": exact_ranking(task.of_users(trained_in.users), trained_in.movies, task.watched, K),
        **{f"folded in, from {name}": rows for name, rows in ranked.items()},
        "popular movies": task.popularity_ranking(K),
    }
    recalls = {name: task.scores(rows, K).means[f"recall@{K}"] for name, rows in rankings.items()}
    print(f"{f'{len(task.user_ids)} users':<42}{f'recall@{K}':>10}{'share':>8}")
    for name, recall in recalls.items():
        print(f"{name:<42}{recall:>10.4f}{recall / recalls['trained in']:>8.2f}")


def parts_of(argv: Sequence[str], description: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(ratings to train on, held-out ratings): the given files, or the default data set split by time."""
    parser = argparse.ArgumentParser(description=description)
    for name in ("--train", "--test"):
        parser.add_argument(name, type=Path, help="ratings.csv of your own split (default: a split by time)")
    arguments = parser.parse_args(argv)
    if arguments.train is None or arguments.test is None:
        return split(find_dataset(DEFAULT_DATASET, None, CACHE).ratings)
    return read_split(arguments.train, arguments.test, None)


def _fit_without(
    known: Interactions, newcomers: np.ndarray, train: pd.DataFrame, threshold: float, settings: Hyperparameters
) -> Embeddings:
    """A model trained without the newcomers, who are rows of `known`; its movies are in the rows of `known`."""
    others = interactions_of(train[~train["user_id"].isin(known.user_ids[newcomers])], threshold)
    return with_movies_of(known, others, fit(others, settings))


def with_movies_of(known: Interactions, others: Interactions, fitted: Embeddings) -> Embeddings:
    """Return what was fitted on others, its movies in the rows of `known`; zeros for those that others do not like."""
    rows = rows_of(others.movie_ids[: others.num_trained_movies], known.movie_ids[: known.num_trained_movies])
    tastes, order = (at_rows(vectors, rows) for vectors in (fitted.parts.tastes, fitted.parts.order))
    parts = replace(fitted.parts, tastes=tastes, order=order)
    return replace(fitted, movies=at_rows(fitted.movies, rows), parts=parts)


def at_rows(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return float32[len(rows), d]: the vectors of these rows; zeros for the row −1."""
    return np.where((rows >= 0)[:, None], vectors[rows], 0).astype(np.float32)


def latest_likes(known: Interactions, count: int | None) -> sparse.csr_matrix:
    """CSR float32[num_users, num_movies]: 1 for each user's latest like, 2 for the one before, at most `count`."""
    kept = known.history(1.0, 0.0)  # a later like has a larger value
    for start, end in zip(kept.indptr, kept.indptr[1:], strict=False):
        latest = np.argsort(-kept.data[start:end], kind="stable")[:count]
        newer = np.zeros(end - start, np.float32)
        newer[latest] = np.arange(len(latest)) + 1
        kept.data[start:end] = newer
    kept.eliminate_zeros()
    return kept


if __name__ == "__main__":
    main(sys.argv[1:])
