"""Merges recorded events with the ratings of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from events.event import Kind, number_of_key
from events.snapshot import Snapshot
from trainer.data.dataset import Dataset, MergedEvents, ratings_frame
from trainer.data.event_states import NEVER_S, EventStates, states_of
from trainer.data.ids import without_unused
from trainer.data.interactions import rows_of
from trainer.data.movies import frame_without_catalogue
from trainer.data.ratings import RatingScale
from trainer.data.records import DataError

UNKNOWN = -1  # stands for an id where an event's user or movie has none of this data set's kind


def with_events(dataset: Dataset, snapshot: Snapshot, scale: RatingScale) -> Dataset:
    """The data set with the events of a store.

    A rating of an event takes the place of the files' unless that is newer. What was watched counts as a like if the
    data are implicit, else as seen but not rated; a rating stays. What was removed is gone, unless the files' rating
    is newer. Users who were forgotten keep only the events that they caused later. Ratings beyond the scale count as
    its ends. Events whose movie a list of movies lacks are left out. So are those with ids where the data have text,
    and those with text where the data have ids.
    Raises DataError if no rating is left.
    """
    user_numbers, events = _numbers(dataset.user_keys), snapshot.events
    event_users, user_keys = _joined(user_numbers, dataset.user_keys, events["user"], snapshot.user_keys)
    movie_numbers = _numbers(dataset.movie_keys)
    event_movies, movie_keys = _joined(movie_numbers, dataset.movie_keys, events["movie"], snapshot.movie_keys)
    listed = _renumbered(dataset.movies["movie_id"], dataset.movie_keys, movie_keys)
    base = dataset.ratings.assign(
        user_id=_renumbered(dataset.ratings["user_id"], dataset.user_keys, user_keys),
        movie_id=_renumbered(dataset.ratings["movie_id"], dataset.movie_keys, movie_keys),
    )
    is_forgotten = np.isin(_numbers_of(dataset.ratings["user_id"].to_numpy(), user_numbers), snapshot.forgotten)
    has_ids = (event_users != UNKNOWN) & (event_movies != UNKNOWN)
    is_listed = np.isin(event_movies, listed) if dataset.has_catalogue else np.ones(len(event_movies), bool)
    kept = has_ids & is_listed
    states = states_of(event_users[kept], event_movies[kept], events[kept])
    ratings = _merged(base[~is_forgotten], states, dataset, scale)
    movies = _with_rated(dataset.movies.assign(movie_id=listed), ratings, movie_keys)
    words = _words(snapshot, int((~has_ids).sum()), int((has_ids & ~is_listed).sum()), int(is_forgotten.sum()))
    hidden = states.is_hidden & np.isin(states.movies, movies["movie_id"])
    hidden_users = _numbers_of(states.users[hidden], _numbers(user_keys))
    merged = MergedEvents(
        snapshot.store_id, snapshot.last_event, len(events), hidden_users, states.movies[hidden], words
    )
    return _without_unused(replace(dataset, ratings=ratings, movies=movies, events=merged), user_keys, movie_keys)


def _merged(base: pd.DataFrame, states: EventStates, dataset: Dataset, scale: RatingScale) -> pd.DataFrame:
    """The ratings after the events.  base: the files' ratings with the ids of `states`."""
    concerned = base[base["user_id"].isin(states.users)].reset_index(names="place")
    pairs = {"user_id": states.users, "movie_id": states.movies, "state": np.arange(len(states.users))}
    met = concerned.merge(pd.DataFrame(pairs), on=["user_id", "movie_id"])
    state = met["state"].to_numpy()
    undone_s = np.maximum(states.removed_s, np.where(states.is_rated, states.rated_s, NEVER_S))
    stays = met["timestamp"].to_numpy() > undone_s[state]
    base = base.drop(index=met["place"][~stays].tolist())
    added = states.is_rated | states.is_watched
    added[state[stays]] = False
    rating = np.clip(states.rating, scale.lowest, scale.highest)
    if dataset.implicit:
        rating = np.where(states.rating >= 1, 1.0, np.nan)
    seconds = np.where(states.is_rated, states.rated_s, states.watched_s)
    new = ratings_frame(
        states.users[added],
        states.movies[added],
        np.where(states.is_rated, rating, 1.0 if dataset.implicit else np.nan)[added].astype(np.float32),
        seconds[added] if dataset.times.usable else np.zeros(int(added.sum()), np.int64),
    )
    if base.empty and new.empty:
        raise DataError("expected at least one rating of a user who was not forgotten, got none")
    return pd.concat([base, new], ignore_index=True)


def _with_rated(movies: pd.DataFrame, ratings: pd.DataFrame, keys: np.ndarray | None) -> pd.DataFrame:
    """The movies, and those that were rated and are not among them, called by their ids."""
    new = np.setdiff1d(ratings["movie_id"].to_numpy(), movies["movie_id"].to_numpy())
    if not len(new):
        return movies
    more = frame_without_catalogue(new, keys)
    return pd.concat([movies, more.assign(tags="") if "tags" in movies else more], ignore_index=True)


def _numbers(keys: np.ndarray | None) -> np.ndarray | None:
    """int64: the number that stands for each key in the store; None where ids are numbers."""
    return None if keys is None else np.array([number_of_key(key) for key in keys.tolist()], np.int64)


def _numbers_of(ids: np.ndarray, numbers: np.ndarray | None) -> np.ndarray:
    """int64: the number in the store of each id.  numbers: of the keys that ids are positions in, or None."""
    return ids if numbers is None else numbers[ids]


def _joined(
    numbers: np.ndarray | None,
    keys: np.ndarray | None,
    of_events: np.ndarray,
    keys_of_events: Mapping[int, str],
) -> tuple[np.ndarray, np.ndarray | None]:
    """(int64 id of each event or UNKNOWN, keys): the keys are those of both, sorted, and the ids positions in them.

    numbers, keys: of the data set, the numbers being those of its keys.  of_events: int64, the number in each event.
    """
    if keys is None or numbers is None:
        return np.where(of_events >= 0, of_events, UNKNOWN), None
    known = set(numbers.tolist())
    new = {number: key for number, key in keys_of_events.items() if number not in known}
    all_keys = np.array([*keys.tolist(), *new.values()], object)
    place = np.empty(len(all_keys), np.int64)
    place[np.argsort(all_keys)] = np.arange(len(all_keys))
    found = rows_of(np.concatenate([numbers, np.array([*new], np.int64)]), of_events)
    return np.where(found >= 0, place[found], UNKNOWN), np.sort(all_keys)


def _renumbered(ids: pd.Series[Any], keys: np.ndarray | None, all_keys: np.ndarray | None) -> np.ndarray:
    """int64: the positions in `all_keys` of ids that are positions in `keys`; the ids as they are without keys."""
    numbers: np.ndarray = ids.to_numpy()
    return numbers if keys is None or all_keys is None else np.searchsorted(all_keys, keys)[numbers]


def _without_unused(dataset: Dataset, user_keys: np.ndarray | None, movie_keys: np.ndarray | None) -> Dataset:
    """The data set without the keys of users and movies that are not in it."""
    assert dataset.events is not None
    ratings, movies, hidden = dataset.ratings, dataset.movies, dataset.events.hidden_movies
    users, user_keys = without_unused(ratings["user_id"].to_numpy(), user_keys)
    columns = [movies["movie_id"].to_numpy(), ratings["movie_id"].to_numpy(), hidden]
    ids, movie_keys = without_unused(np.concatenate(columns), movie_keys)
    listed, rated, hidden = np.split(ids, np.cumsum([len(movies), len(ratings)]))
    return replace(
        dataset,
        ratings=ratings_frame(users, rated, ratings["rating"].to_numpy(), ratings["timestamp"].to_numpy()),
        movies=movies.assign(movie_id=listed),
        user_keys=user_keys,
        movie_keys=movie_keys,
        events=replace(dataset.events, hidden_movies=hidden),
    )


def _words(snapshot: Snapshot, num_other_ids: int, num_unlisted: int, num_forgotten: int) -> str:
    """What was merged, in a sentence."""
    of_kind = np.bincount(snapshot.events["kind"], minlength=max(Kind) + 1)
    kinds = ", ".join(f"{of_kind[kind]:,} {kind.name.lower()}" for kind in Kind)
    more = [
        (num_other_ids, "are left out, whose ids are text where those of the ratings are numbers, or the reverse"),
        (num_unlisted, "are left out, for the list of movies lacks theirs"),
        (num_forgotten, "ratings of forgotten users are left out"),
    ]
    rest = "".join(f"; {count:,} {what}" for count, what in more if count)
    return f"events: {len(snapshot.events):,} up to number {snapshot.last_event:,} of the store ({kinds}){rest}"
