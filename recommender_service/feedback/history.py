"""What a user has watched, liked and hidden, as a release knows it and as events have changed it since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from events.event import Kind, last_of_each_kind
from recommender_service.checks import NO_ROWS
from recommender_service.release import Release


class History(NamedTuple):
    """Rows of movies in a release, int32.

    watched_rows: watched and not hidden.  hidden_rows: never to be recommended.
    liked_rows: trained movies, ascending.  has_release_likes: whether they are the ones that the release knows of.
    liked_in_order: the same in the order of liking, the latest last; None if it is not known.
    """

    watched_rows: np.ndarray
    hidden_rows: np.ndarray
    liked_rows: np.ndarray
    has_release_likes: bool
    liked_in_order: np.ndarray | None


def history_of(
    release: Release, user: int, hidden_rows: np.ndarray, events: np.ndarray, rows: Mapping[int, int]
) -> History:
    """A user's history.

    user: their position in the release, −1 if it does not know them.
    hidden_rows: int32, the movies that they have hidden as far as the release knows.
    events: `event.COLUMNS`, the user's, oldest first.  rows: row by the number that stands for a movie in events.
    """
    numbers, position = np.unique(events["movie"], return_inverse=True)
    movies = np.array([rows.get(number, -1) for number in numbers.tolist()], np.int32)  # −1: not in the release
    last = last_of_each_kind(events, position, len(movies))
    last[:, movies < 0] = -1
    removed = movies[last[Kind.REMOVED] >= 0]
    counts = last > last[Kind.REMOVED]  # bool[kind, movie], whether there is such an event after the last removal
    rated = movies[counts[Kind.RATED]]
    is_liked = counts[Kind.RATED] & (events["rating"][last[Kind.RATED]] >= _threshold(release))
    liked_at = last[Kind.RATED]
    if release.manifest.dataset.implicit:
        is_watched_only = counts[Kind.WATCHED] & ~counts[Kind.RATED]
        is_liked |= is_watched_only
        liked_at = np.where(is_watched_only, last[Kind.WATCHED], liked_at)
    liked = movies[is_liked][np.argsort(liked_at[is_liked])]
    watched_before = release.watched.rows_of(user) if user >= 0 else NO_ROWS
    liked_before = release.watched.liked_rows_of(user) if user >= 0 else NO_ROWS
    in_order = release.watched.liked_rows_in_order(user) if user >= 0 else NO_ROWS
    kept = liked_before if in_order is None else in_order
    liked_now = np.concatenate([kept[~np.isin(kept, np.concatenate([removed, rated, liked]))], liked])
    liked_now = liked_now[liked_now < release.num_trained_movies]
    liked_rows = np.sort(liked_now)
    return History(
        watched_rows=np.union1d(
            np.setdiff1d(watched_before, removed), movies[counts[Kind.WATCHED] | counts[Kind.RATED]]
        ).astype(np.int32),
        hidden_rows=np.union1d(np.setdiff1d(hidden_rows, removed), movies[counts[Kind.HIDDEN]]).astype(np.int32),
        liked_rows=liked_rows,
        has_release_likes=len(liked_before) > 0 and np.array_equal(liked_rows, liked_before),
        liked_in_order=liked_now if in_order is not None else None,
    )


def _threshold(release: Release) -> float:
    return release.manifest.hyperparameters.positive_threshold
