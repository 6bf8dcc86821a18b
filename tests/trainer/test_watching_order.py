"""The order of watching in the embeddings: what tells users what comes next, where ratings have times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from trainer.data.interactions import Interactions, interactions_of
from trainer.model.cosine_softmax import Embeddings, fit
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.watching_order import DIM, order_vectors, recent_order

NUM_SERIES, EPISODES, SERIES_OF_A_USER = 40, 6, 8
NUM_USERS, SESSION_S = 400, 100_000
SETTINGS = Hyperparameters(embedding_dim=32, epochs=3, recency=1e-6)  # so that tastes know nothing of times


def _ratings(has_times: bool) -> pd.DataFrame:
    """Return ratings of users who watch half of a series in each session, and of a different series in the next."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(NUM_USERS):
        for session, series in enumerate(rng.choice(NUM_SERIES, SERIES_OF_A_USER, replace=False)):
            for minute, episode in enumerate(rng.permutation(EPISODES)[: EPISODES // 2]):
                time = session * SESSION_S + minute if has_times else 0
                rows.append((user + 1, series * EPISODES + episode + 1, 5.0, time))
    return pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "timestamp"])


def _of_series(known: Interactions, ratings: pd.DataFrame, embeddings: Embeddings, pick: int) -> np.ndarray:
    """Return float[num_users]: mean cosine with the unwatched half of the series of a session.

    pick: the place of a rating among the user's, in time.
    """
    series_of_movie = (known.movie_ids - 1) // EPISODES
    cosines = embeddings.users @ embeddings.movies.T
    means = np.empty(NUM_USERS)
    for user, rated in enumerate(np.split(ratings["movie_id"].to_numpy(), NUM_USERS)):
        wanted = (series_of_movie == (rated[pick] - 1) // EPISODES) & ~np.isin(known.movie_ids, rated)
        means[user] = cosines[user, wanted].mean()
    return means


@pytest.mark.slow
def test_the_movies_watched_last_tell_what_comes_next() -> None:
    """With times, the rest of the last series is nearer than that of the first; not without times, or recency."""
    nearer = []
    for has_times, recency in ((True, SETTINGS.recency), (False, SETTINGS.recency), (True, 0.0)):
        ratings = _ratings(has_times)
        known = interactions_of(ratings, 3.5)
        embeddings = fit(known, replace(SETTINGS, recency=recency))
        last, first = (_of_series(known, ratings, embeddings, pick) for pick in (-1, 0))
        nearer.append(float((last > first).mean()))
    with_times, without_times, without_recency = nearer
    assert with_times > 0.7
    assert 0.4 < without_times < 0.6
    assert 0.4 < without_recency < 0.6


def test_without_an_order_there_are_no_vectors() -> None:
    """Ratings of one time, or of random times, give vectors without components; else movies of one series are near."""
    ratings = _ratings(has_times=True)
    random_times = np.random.default_rng(1).permutation(ratings["timestamp"])
    for unordered in (_ratings(has_times=False), ratings.assign(timestamp=random_times)):
        known = interactions_of(unordered, 3.5)
        assert order_vectors(known).shape == (known.num_trained_movies, 0)
        assert recent_order(known, order_vectors(known)).shape == (NUM_USERS, 0)
    known = interactions_of(_ratings(has_times=True), 3.5)
    order = order_vectors(known)
    assert order.shape == (known.num_trained_movies, DIM)
    cosines = order @ order.T
    series = (known.movie_ids[: known.num_trained_movies] - 1) // EPISODES
    same = (series[:, None] == series) & ~np.eye(len(series), dtype=bool)
    assert cosines[same].mean() > 0.3 > 0.1 > cosines[~same & ~np.eye(len(series), dtype=bool)].mean()
