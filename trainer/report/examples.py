"""Some users with what they are recommended, and some movies with what is like them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.report.release import LoadedRelease

EXAMPLES, EXAMPLE_LENGTH = 10, 8


@dataclass(frozen=True)
class User:
    """liked, recommended: titles."""

    name: str
    liked: list[str]
    recommended: list[str]


@dataclass(frozen=True)
class Movie:
    """like: titles and cosines, most similar first."""

    title: str
    num_likes: int
    like: list[tuple[str, float]]


def users(release: LoadedRelease, rows: np.ndarray, ranked: np.ndarray) -> list[User]:
    """Some users with what they liked last, or what is most liked of it, and what is recommended to them.

    rows: int64[n], of users.  ranked: int32[n, k], rows of movies, −1 for none.
    """
    titles = release.movies["title"].to_numpy()
    found = []
    for at in np.linspace(0, len(rows) - 1, min(EXAMPLES, len(rows))).astype(int):
        recommended = titles[ranked[at][ranked[at] >= 0][:EXAMPLE_LENGTH]]
        liked = titles[_liked(release, int(rows[at]))[:EXAMPLE_LENGTH]]
        found.append(User(release.user_names[rows[at]], list(liked), list(recommended)))
    return found


def _liked(release: LoadedRelease, user: int) -> np.ndarray:
    """The rows of the movies that a user liked: the latest first, or without times the most liked first."""
    part = slice(release.watched.indptr[user], release.watched.indptr[user + 1])
    liked: np.ndarray = release.watched.indices[part][release.watched.data[part]]
    if release.difference:
        return liked[np.argsort(-release.num_likes[liked], kind="stable")]
    ratings = release.dataset.ratings
    own = ratings[ratings["user_id"] == release.user_ids[user]].set_index("movie_id")["timestamp"]
    times = own.loc[release.movies["movie_id"].to_numpy()[liked]].to_numpy()
    return liked[np.argsort(-times, kind="stable")]


def movies(release: LoadedRelease) -> list[Movie]:
    """Some movies, from the most liked to rarely liked ones, with the movies most similar to each."""
    num_trained = release.manifest.num_trained_movies
    most_liked_first = np.argsort(-release.num_likes, kind="stable")
    titles = release.movies["title"].to_numpy()
    found = []
    places = np.unique(np.geomspace(1, min(1000, num_trained), EXAMPLES).astype(int)) - 1
    for row in most_liked_first[places]:
        cosines = release.similar[:num_trained] @ release.similar[row]
        nearest = [other for other in np.argsort(-cosines, kind="stable")[: EXAMPLE_LENGTH + 1] if other != row]
        like = [(titles[other], float(cosines[other])) for other in nearest[:EXAMPLE_LENGTH]]
        found.append(Movie(titles[row], int(release.num_likes[row]), like))
    return found
