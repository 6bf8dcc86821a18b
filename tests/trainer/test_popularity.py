"""Popularity in the embeddings: where it counts, and that cosines still rank as the logits do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trainer.data.split import split
from trainer.evaluation.evaluate import exact_scores
from trainer.evaluation.task import task_of
from trainer.model.hyperparameters import Hyperparameters, default_temperature
from trainer.model.popularity import popularity_weight, with_popularity
from trainer.model.vectors import unit_rows


def test_cosines_rank_as_logits_with_popularity() -> None:
    """A user's cosines with popularity are the logits, times a factor and plus a number of the user's own."""
    rng = np.random.default_rng(0)
    users, movies = (unit_rows(rng.standard_normal((n, 8), np.float32)) for n in (4, 30))
    users[3] = 0
    popularity = rng.exponential(2, 30).astype(np.float32)
    temperatures = np.array([0.4, 0.3, 0.8, 0.4], np.float32)
    logits = users @ movies.T / temperatures[:, None] + popularity
    new_users, new_movies, _ = with_popularity(users, movies, temperatures, popularity, 0.4)
    np.testing.assert_allclose(np.linalg.norm(new_movies, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(new_users[:3], axis=1), 1, rtol=1e-5)
    assert not new_users[3].any()
    cosines = new_users @ new_movies.T
    for user in range(3):
        assert np.corrcoef(cosines[user], logits[user])[0, 1] > 0.99999


def test_popularity_that_is_the_same_for_all_changes_no_cosine() -> None:
    """Where all movies are as popular, cosines stay those of tastes."""
    rng = np.random.default_rng(0)
    users, movies = (unit_rows(rng.standard_normal((n, 8), np.float32)) for n in (4, 30))
    new_users, new_movies, _ = with_popularity(users, movies, np.full(4, 0.1, np.float32), np.ones(30), 0.1)
    np.testing.assert_allclose(new_users @ new_movies.T, users @ movies.T, atol=1e-6)


def test_popularity_counts_more_where_the_softmax_is_flat() -> None:
    """Popularity counts a tenth near the rule's temperature, and two thirds at three times as much."""
    num_likes = np.arange(1, 200)
    rule = default_temperature(num_likes)
    assert popularity_weight(1.2 * rule, num_likes) == 0.1
    np.testing.assert_allclose(popularity_weight(3 * rule, num_likes), 2 / 3)


@pytest.mark.slow
def test_likes_at_random_are_ranked_by_popularity() -> None:
    """Where likes follow popularity and no taste, the model's lists are nearly as good as popular movies."""
    rng = np.random.default_rng(0)
    chances = 1 / (5 + np.arange(1500))
    likes = [rng.choice(1500, 12, replace=False, p=chances / chances.sum()) for _ in range(600)]
    users = np.repeat(np.arange(600), 12)
    ratings = pd.DataFrame({"user_id": users, "movie_id": np.concatenate(likes), "rating": 5.0, "timestamp": 0})
    task = task_of(*split(ratings), 3.5)
    ours = exact_scores(task, Hyperparameters(embedding_dim=32), 20).means["ndcg@20"]
    popular = task.scores(task.popularity_ranking(20), 20).means["ndcg@20"]
    assert ours > 0.85 * popular
