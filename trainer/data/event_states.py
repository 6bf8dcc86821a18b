"""What remains of a user's events with a movie: a rating, or that it was watched; whether it is hidden, or undone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from events.event import Kind, last_of_each_kind

NEVER_S = np.iinfo(np.int64).min
US_PER_S = 1_000_000


@dataclass(frozen=True)
class EventStates:
    """One element for each pair of a user and a movie, all arrays of the same length.

    users, movies: int64, as given.
    removed_s: int64, seconds since 1970 of the last removal, NEVER_S if there is none.
    is_rated, is_watched, is_hidden: bool, whether that was said since. Who rated has watched, and is not `is_watched`.
    rating, rated_s: float64 and int64, of the last rating.  watched_s: int64, of the last time it was watched.
    """

    users: np.ndarray
    movies: np.ndarray
    removed_s: np.ndarray
    is_rated: np.ndarray
    is_watched: np.ndarray
    is_hidden: np.ndarray
    rating: np.ndarray
    rated_s: np.ndarray
    watched_s: np.ndarray


def states_of(users: np.ndarray, movies: np.ndarray, events: np.ndarray) -> EventStates:
    """The states after all events, in the order of their times; of equal times, in that of their numbers.

    users, movies: int64[n], of each event.  events: `event.COLUMNS`, n of them.
    The rule is the service's, which applies it to the events that are newer than a release.
    """
    order = np.lexsort((events["number"], events["time_us"], movies, users))
    users, movies, events = users[order], movies[order], events[order]
    is_first = np.r_[True, (users[1:] != users[:-1]) | (movies[1:] != movies[:-1])][: len(users)]
    pair = np.cumsum(is_first) - 1  # int64[n], of each event
    last = last_of_each_kind(events, pair, int(is_first.sum()))
    counts = last > last[Kind.REMOVED]  # bool[kind, pair], whether there is such an event after the last removal
    seconds = events["time_us"] // US_PER_S
    return EventStates(
        users[is_first],
        movies[is_first],
        np.where(last[Kind.REMOVED] >= 0, seconds[last[Kind.REMOVED]], NEVER_S) if len(users) else seconds,
        counts[Kind.RATED],
        counts[Kind.WATCHED] & ~counts[Kind.RATED],
        counts[Kind.HIDDEN],
        events["rating"][last[Kind.RATED]] if len(users) else events["rating"],
        seconds[last[Kind.RATED]] if len(users) else seconds,
        seconds[last[Kind.WATCHED]] if len(users) else seconds,
    )
