"""The movies that users have hidden, as a release knows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from events.event import number_of_key
from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import layout

if TYPE_CHECKING:
    from recommender_service.release import Release

NO_ROWS = np.empty(0, np.int32)


@dataclass(frozen=True)
class HiddenMovies:
    """Pairs of a user and a movie.

    users: int64[n], ascending, the number that stands for each user in events.  rows: int32[n], the hidden movie.
    """

    users: np.ndarray
    rows: np.ndarray

    def __bool__(self) -> bool:
        return len(self.users) > 0

    def rows_of(self, number: int | None) -> np.ndarray:
        """int32 rows of the movies that this user has hidden.  number: None for nobody."""
        if not self or number is None:
            return NO_ROWS
        rows: np.ndarray = self.rows[self.users.searchsorted(number) : self.users.searchsorted(number, "right")]
        return rows


NOTHING_HIDDEN = HiddenMovies(np.empty(0, np.int64), NO_ROWS)


def number_of_user(release: Release, request: api.RecommendRequest) -> int | None:
    """The number that stands for the user of a checked request in events; None for nobody."""
    if request.user_key:
        return number_of_key(request.user_key)
    if not request.HasField("user_id"):
        return None
    if release.user_keys is None:
        return request.user_id
    key = release.user_keys.key_of(request.user_id)
    return None if key is None else number_of_key(key)


def rows_to_leave_out(release: Release, request: api.RecommendRequest, user: int) -> np.ndarray:
    """int32 rows of movies that the user has hidden, or watched, as far as the release knows.

    user: their position in the release, −1 if it does not know them.
    """
    watched = release.watched.rows_of(user) if user >= 0 and not request.include_watched else NO_ROWS
    if not release.hidden:
        return watched
    return np.concatenate([watched, release.hidden.rows_of(number_of_user(release, request))])


def problem_of(hidden: HiddenMovies, num_movies: int) -> Mapping[str, str]:
    """What is wrong with pairs that were read from a release, by the name of the file; empty if nothing is."""
    users, rows = hidden.users, hidden.rows
    if len(users) != len(rows):
        return {layout.HIDDEN_ROWS: f"expected {len(users)} rows, as many as users, got {len(rows)}"}
    if (users[1:] < users[:-1]).any():
        return {layout.HIDDEN_USERS: "expected ascending users, got others"}
    if len(rows) and not (rows.min() >= 0 and rows.max() < num_movies):
        return {layout.HIDDEN_ROWS: f"expected rows of 0 to {num_movies - 1}, got {rows.min()} to {rows.max()}"}
    return {}
