"""What tutorials do to recommend: a dot product over a DataFrame, and pandas to filter and sort."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.calls import LIMIT, MANY
from benchmarks.figures import Figure, figure
from benchmarks.loads import Load, Target, measure
from benchmarks.support import SERVER_CORE, on_cores
from recommender_service.release import Release, mean_direction

USERS = 100


class Tutorial:
    """The tables that a tutorial ends with: embeddings, movies and ratings."""

    def __init__(self, release: Release) -> None:
        trained = release.movies[: release.num_trained_movies]
        self.movies = pd.DataFrame([(movie.movie_id, movie.title) for movie in trained], columns=["movie_id", "title"])
        vectors = release.movie_embeddings.vectors[: release.num_trained_movies]
        self.movie_embeddings = pd.DataFrame(vectors, index=self.movies["movie_id"])
        watched = release.watched
        with_likes = np.flatnonzero(watched.has_likes)[:USERS]
        means = [mean_direction(vectors[watched.liked_rows_of(user)]) for user in with_likes]
        self.user_embeddings = pd.DataFrame(means, index=watched.user_ids[with_likes])
        users = np.repeat(watched.user_ids, np.diff(watched.indptr))
        self.ratings = pd.DataFrame({"user_id": users, "movie_id": release.movie_ids[watched.rows]})

    def recommend(self, user_id: int, count: int) -> pd.DataFrame:
        """Movies that the user has not watched, best first: movie_id, title and score."""
        scores = self.movie_embeddings.dot(self.user_embeddings.loc[user_id])
        watched = self.ratings.loc[self.ratings["user_id"] == user_id, "movie_id"]
        candidates = self.movies.assign(score=scores.to_numpy())
        candidates = candidates[~candidates["movie_id"].isin(watched)]
        return candidates.sort_values("score", ascending=False).head(count)


def measure_tutorial(release: Release, echo: Target, echo_load: Load, rounds: int) -> Iterator[Figure]:
    """Yield the CPU time of `recommend` in this process, as a ratio to that of an empty echo."""
    tutorial = Tutorial(release)
    ours, echoes = [], []
    for _ in range(rounds):
        echoes.append(measure(echo, echo_load).cpu)
        with on_cores(SERVER_CORE):
            start = time.thread_time()
            for user_id in tutorial.user_embeddings.index:
                tutorial.recommend(user_id, LIMIT)
            ours.append((time.thread_time() - start) / len(tutorial.user_embeddings) * 1e6)
    ratios = [cpu / echo_cpu for cpu, echo_cpu in zip(ours, echoes, strict=True)]
    name = "a tutorial's recommend with pandas, without gRPC"
    yield figure(MANY, name, ratios, "× echo", cpu_us=ours, echo_cpu_us=echoes)
