"""Recall for users who like something after a release: from their embedding there, and folded in from all they like.

    MOVIELENS_DIR=… python -m benchmarks.new_likes
    python -m benchmarks.new_likes --train T.csv --test E.csv

The last one, three or ten likes of each user are left out of what the model is trained with, and come as events. The
reference is a model that was trained with them, as the next release will be. Means of three seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from scipy import sparse

from benchmarks.newcomers import K, at_rows, latest_likes, parts_of, with_movies_of
from trainer.data.interactions import Interactions, interactions_of, rows_of
from trainer.data.ratings import default_positive_threshold
from trainer.evaluation.evaluate import hyperparameters_for
from trainer.evaluation.task import Task, task_of
from trainer.index.ranking import exact_ranking
from trainer.model.cosine_softmax import fit
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.newcomers import counts_in_order, newcomer_embeddings

NEW_LIKES, SEEDS = (1, 3, 10), 3


def main(argv: Sequence[str]) -> None:
    train, test = parts_of(argv, __doc__)
    threshold = default_positive_threshold(train)
    task = task_of(train, test, threshold)
    liked = train[train["rating"] >= threshold].sort_values(["user_id", "timestamp"], kind="stable")
    print(f"{f'{len(task.user_ids)} users':<48}{f'recall@{K}':>10}")
    next_releases = (fit(task.known, _settings(task, seed)) for seed in range(SEEDS))
    mean = np.mean([_recall(task, release.users, release.movies) for release in next_releases])
    print(f"{'as the next release knows the user':<48}{mean:>10.4f}", flush=True)
    for count in NEW_LIKES:
        before = interactions_of(train.drop(liked.groupby("user_id").tail(count).index), threshold)
        recalls = [_recalls(task, before, seed) for seed in range(SEEDS)]
        for name in recalls[0]:
            mean = np.mean([of_seed[name] for of_seed in recalls])
            print(f"{f'{count} new likes, {name}':<48}{mean:>10.4f}", flush=True)


def _recalls(task: Task, before: Interactions, seed: int) -> dict[str, float]:
    """Return the recall of each embedding, by name.  before: what the release was trained with."""
    known = task.known
    release = with_movies_of(known, before, fit(before, _settings(task, seed)))
    has_embedding = sparse.diags(release.movies.any(axis=1).astype(np.float32))
    newer = sparse.csr_matrix(latest_likes(known, None) @ has_embedding)
    likes, last = counts_in_order(newer)
    users = {
        "as the release knows the user": at_rows(release.users, rows_of(before.user_ids, known.user_ids)),
        "folded in from a set of all likes": newcomer_embeddings(newer.sign(), release),
        "folded in from all likes in order": newcomer_embeddings(likes, release, last),
    }
    return {name: _recall(task, table, release.movies) for name, table in users.items()}


def _recall(task: Task, users: np.ndarray, movies: np.ndarray) -> float:
    """users: float32[num_users, d], of the training part.  movies: float32[num_trained_movies, d]."""
    ranked = exact_ranking(task.of_users(users), movies, task.watched, K)
    return task.scores(ranked, K).means[f"recall@{K}"]


def _settings(task: Task, seed: int) -> Hyperparameters:
    return hyperparameters_for(task, Hyperparameters(seed=seed))


if __name__ == "__main__":
    main(sys.argv[1:])
