"""Releases with hand-made embeddings, for which the right answers are known. The trainer's own code writes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from object_storage.bucket import Bucket
from protos.release.v1.calibrations import ANNOY
from trainer.data.dataset import Dataset
from trainer.data.interactions import interactions_of
from trainer.index import calibration
from trainer.model.cosine_softmax import Embeddings
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.parts import Parts
from trainer.release.fitted import Fitted
from trainer.release.keys import Keys
from trainer.release.publish import publish

RANDOM_GENRES = ["Action", "Comedy", "Drama", "Horror", "Musical", "War"]
LIKED, DISLIKED = 5.0, 1.0
POSITIVE_THRESHOLD, TEMPERATURE = 3.5, 0.12

# On the checkerboard, embeddings are points on a circle: even users at 0°, odd users at 90°, movie 2 at 2°, movie 4 at
# 4° and so on, movie 1 at 89°, movie 3 at 87° and so on.
EVEN_USER, ODD_USER, USER_WITHOUT_LIKES, UNKNOWN_USER = 10, 11, 30, 12345
UNLIKED_MOVIE, UNRATED_MOVIE, UNKNOWN_MOVIE = 98, 99, 12345
TITLES = {
    2: 'Good, the Bad and the "Ugly", The (1966)',
    4: "Amélie, le fabuleux destin (2001)",
    6: "千と千尋の神隠し (2001)",
    9: "Łódka i Æther (1999)",
    UNRATED_MOVIE: "Nobody Came (2020)",
}
GENRES = {2: "Western", 4: "Romance|Comedy", 6: "Animation", UNRATED_MOVIE: "Western|Romance", UNLIKED_MOVIE: ""}


def publish_checkerboard(
    artifacts: Path,
    rotate_degrees: float = 0.0,
    stretch: float = 1.0,
    signing_key: bytes | None = None,
    text_ids: bool = False,
    also_rated: Sequence[tuple[int, int, float]] = (),
    bucket: Bucket | None = None,
    canary_share: float | None = None,
    times: bool = False,
) -> int:
    """Publish the checkerboard: even users like even movies. Returns the version.

    rotate_degrees: turns all embeddings, which does not change the answers.
    stretch: factor of the degrees between users and movies, which changes the scores only.
    signing_key: signs the manifest, if there is one.
    text_ids: whether ids are the numbers of keys, `user_key` and `movie_key` of them.
    also_rated: further ratings, (user, movie, rating).  times: whether they come in the order of ids, or at one time.
    bucket: where the release is published too, if there is one.
    canary_share: of the users whom the release serves at first; all of them if it is None.
    """
    rated = [(EVEN_USER, 2, LIKED), (EVEN_USER, 8, LIKED), (EVEN_USER, 3, DISLIKED), (ODD_USER, 1, LIKED)]
    rated += [(20 + movie % 2, movie, LIKED) for movie in range(1, 13)]
    rated += [(USER_WITHOUT_LIKES, 2, DISLIKED), (USER_WITHOUT_LIKES, UNLIKED_MOVIE, DISLIKED), *also_rated]
    timed = [(user, movie, rating, movie if times else 0) for user, movie, rating in rated]
    ratings = pd.DataFrame(timed, columns=["user_id", "movie_id", "rating", "timestamp"])
    movie_ids = [*range(1, 13), UNLIKED_MOVIE, UNRATED_MOVIE]
    movies = pd.DataFrame(
        {
            "movie_id": movie_ids,
            "title": [TITLES.get(movie, f"Movie {movie} ({1990 + movie})") for movie in movie_ids],
            "year": [int(TITLES[movie][-5:-1]) if movie in TITLES else 1990 + movie for movie in movie_ids],
            "genres": [GENRES.get(movie, "Drama|Comedy" if movie % 2 else "") for movie in movie_ids],
        }
    )
    known = interactions_of(ratings, POSITIVE_THRESHOLD, movies["movie_id"].to_numpy())
    likes_something = np.diff(known.positives.indptr) > 0
    users = _at_degrees(np.where(known.user_ids % 2 == 0, 0, 90) + rotate_degrees) * likes_something[:, None]
    trained = known.movie_ids[: known.num_trained_movies]
    items = _at_degrees(np.where(trained % 2 == 0, stretch * trained, 90 - stretch * trained) + rotate_degrees)
    keys = None
    if text_ids:
        keys = _keys(known.user_ids, user_key), _keys(known.movie_ids, movie_key)
    return _publish(artifacts, ratings, movies, users, items, signing_key, keys, bucket, canary_share)


def user_key(user_id: int) -> str:
    """The key of a user where ids are text."""
    return f"user-{user_id}@example"


def movie_key(movie_id: int) -> str:
    """The key of a movie where ids are text."""
    return f"M{movie_id:02d}"


def _keys(ids: np.ndarray, key_of: Callable[[int], str]) -> Keys:
    pairs = sorted((key_of(number), number) for number in ids.tolist())
    return Keys(np.array([key for key, _ in pairs], object), np.array([number for _, number in pairs], np.int64))


def publish_random(
    artifacts: Path,
    num_movies: int = 3000,
    dim: int = 16,
    heavy: int = 2698,
    seed: int = 0,
    title: str = "Movie",
    genres: Sequence[str] = RANDOM_GENRES,
    engine: str = ANNOY,
) -> int:
    """Publish random movies of 40 clusters and 60 users, who like all they watched. Returns the version.

    heavy: how many movies user 1 has watched; user 2 has watched the others.  title: of every movie, before its id.
    genres: of which each movie has up to three.  engine: ANNOY or SCAN, which answers.
    """
    rng = np.random.default_rng(seed)
    movie_ids = np.sort(rng.choice(10 * num_movies, num_movies, replace=False)) + 1
    rated = [(1, movie, LIKED) for movie in rng.permutation(movie_ids)[:heavy]]
    rated += [(2, movie, LIKED) for movie in movie_ids if (1, movie, LIKED) not in set(rated[:heavy])]
    for user in range(3, 61):
        rated += [(user, movie, LIKED) for movie in rng.choice(movie_ids, rng.integers(1, 80), replace=False)]
    ratings = pd.DataFrame(rated, columns=["user_id", "movie_id", "rating"]).assign(timestamp=0)
    titles = [f"{title} {movie}" for movie in movie_ids]
    years = np.where(rng.random(num_movies) < 0.1, 0, rng.integers(1950, 2021, num_movies))
    listed = ["|".join(rng.choice(genres, rng.integers(0, 4), replace=False)) for _ in movie_ids]
    movies = pd.DataFrame({"movie_id": movie_ids, "title": titles, "year": years, "genres": listed})
    spread = np.arange(1, dim + 1) ** -0.5  # along principal axes, the first components vary most
    clusters = rng.normal(size=(40, dim)) * spread
    items = clusters[rng.integers(0, 40, num_movies)] + 0.7 * rng.normal(size=(num_movies, dim)) * spread
    users = clusters[rng.integers(0, 40, 60)] + 0.5 * rng.normal(size=(60, dim)) * spread
    return _publish(artifacts, ratings, movies, _unit(users), _unit(items), engine=engine)


def _publish(
    artifacts: Path,
    ratings: pd.DataFrame,
    movies: pd.DataFrame,
    users: np.ndarray,
    items: np.ndarray,
    signing_key: bytes | None = None,
    keys: tuple[Keys, Keys] | None = None,
    bucket: Bucket | None = None,
    canary_share: float | None = None,
    engine: str = ANNOY,
) -> int:
    known = interactions_of(ratings, POSITIVE_THRESHOLD, movies["movie_id"].to_numpy())
    tastes = items.astype(np.float32)
    embeddings = Embeddings(users.astype(np.float32), tastes, TEMPERATURE, Parts.of_tastes(tastes))
    settings = Hyperparameters(embedding_dim=items.shape[1])
    dataset = Dataset("hand-made", ratings, movies, fingerprint="0" * 64)
    user_keys, movie_keys = keys or (None, None)
    fitted = Fitted(dataset, known, embeddings, settings, None, (), user_keys, movie_keys)
    with pytest.MonkeyPatch.context() as patches:  # which engine answers must not depend on how busy the machine is
        patches.setattr(calibration, "MAX_TIMES_SLOWER", math.inf if engine == ANNOY else 0)
        return int(publish(fitted, artifacts, signing_key, bucket, canary_share).name)


def _at_degrees(degrees: np.ndarray) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
