"""Recorded events are merged with the ratings of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from events.event import Event, Kind, number_of_key
from events.snapshot import read_snapshot
from events.store import EventStore
from trainer.data.dataset import Dataset, read_folder
from trainer.data.events import with_events
from trainer.data.ratings import FIVE_STARS
from trainer.release.keys import with_lasting_ids

NOON_S = 1_700_000_000  # the time of every rating in the files

RATINGS = (
    f"userId,movieId,rating,timestamp\n1,10,5,{NOON_S}\n1,11,2,{NOON_S + 1}\n2,10,4,{NOON_S}\n2,12,1,{NOON_S + 1}\n"
)
MOVIES = "movieId,title\n10,Heat (1995)\n11,Ronin (1998)\n12,Alien (1979)\n13,Brazil (1985)\n"


@pytest.fixture
def store(tmp_path: Path) -> EventStore:
    store = EventStore(f"sqlite:///{tmp_path / 'events.db'}")
    store.prepare()
    return store


def folder(tmp_path: Path, ratings: str = RATINGS, movies: str = MOVIES) -> Dataset:
    path = tmp_path / "data"
    path.mkdir(exist_ok=True)
    (path / "ratings.csv").write_text(ratings)
    if movies:
        (path / "movies.csv").write_text(movies)
    return read_folder(path)


def add(
    store: EventStore, user: int | str, movie: int | str, kind: Kind, rating: float = 0.0, after_noon_s: int = 60
) -> None:
    """Record an event.  user, movie: ids, or keys."""
    number, user_key = (number_of_key(user), user) if isinstance(user, str) else (user, "")
    movie_number, movie_key = (number_of_key(movie), movie) if isinstance(movie, str) else (movie, "")
    time_us = (NOON_S + after_noon_s) * 1_000_000
    event_id = f"{store.last_number()}"
    assert store.append([Event(event_id, number, user_key, movie_number, movie_key, kind, rating, time_us)]) != [0]


def merged(dataset: Dataset, store: EventStore) -> Dataset:
    return with_events(dataset, read_snapshot(store), FIVE_STARS)


def ratings_of(dataset: Dataset) -> dict[tuple[object, object], float]:
    """Rating by user and movie; NaN is None. Keys stand for ids where there are keys."""
    frame = dataset.ratings
    users, movies = frame["user_id"], frame["movie_id"]
    if dataset.user_keys is not None:
        users = pd.Series(dataset.user_keys[users])
    if dataset.movie_keys is not None:
        movies = pd.Series(dataset.movie_keys[movies])
    ratings = [None if np.isnan(rating) else rating for rating in frame["rating"]]
    return dict(zip(zip(users, movies, strict=True), ratings, strict=True))  # type: ignore[arg-type]


def test_no_events_change_nothing(tmp_path: Path, store: EventStore) -> None:
    """An empty store leaves ratings and movies as they are, and the data set says up to which event it holds them."""
    plain = folder(tmp_path)
    same = merged(plain, store)
    pd.testing.assert_frame_equal(same.ratings, plain.ratings)
    pd.testing.assert_frame_equal(same.movies, plain.movies)
    assert same.events is not None
    assert (same.events.store_id, same.events.last_event, same.events.num_events) == (store.prepare(), 0, 0)


def test_the_later_of_event_and_rating_counts(tmp_path: Path, store: EventStore) -> None:
    """An event takes the place of an older rating, and leaves a newer one alone."""
    add(store, 1, 11, Kind.RATED, 4.5)
    add(store, 2, 12, Kind.RATED, 4.5, after_noon_s=-60)
    assert ratings_of(merged(folder(tmp_path), store)) == {(1, 10): 5, (1, 11): 4.5, (2, 10): 4, (2, 12): 1}


def test_watched_is_seen_and_keeps_a_rating(tmp_path: Path, store: EventStore) -> None:
    """What was only watched is seen but not rated; a rating of the files, or of another event, stays."""
    for movie in (10, 12, 13):
        add(store, 1, movie, Kind.WATCHED)
    add(store, 1, 12, Kind.RATED, 4)
    add(store, 1, 12, Kind.WATCHED)
    found = ratings_of(merged(folder(tmp_path), store))
    assert {movie: found.get((1, movie), "absent") for movie in (10, 12, 13)} == {10: 5, 12: 4, 13: None}


def test_removed_undoes_files_and_events(tmp_path: Path, store: EventStore) -> None:
    """A removal undoes what came before it, also in the files, and nothing that came after it."""
    add(store, 1, 10, Kind.REMOVED)
    add(store, 2, 10, Kind.REMOVED, after_noon_s=-60)  # before the rating
    add(store, 2, 13, Kind.RATED, 3)
    add(store, 2, 13, Kind.REMOVED, after_noon_s=61)
    add(store, 1, 12, Kind.REMOVED)
    add(store, 1, 12, Kind.WATCHED, after_noon_s=61)
    assert ratings_of(merged(folder(tmp_path), store)) == {(1, 11): 2, (2, 10): 4, (2, 12): 1, (1, 12): None}


def test_hidden_movies_are_handed_on(tmp_path: Path, store: EventStore) -> None:
    """Hidden movies are known by user, also of users without ratings; a removal undoes that; none becomes a rating."""
    add(store, 1, 13, Kind.HIDDEN)
    add(store, 7, 11, Kind.HIDDEN)
    add(store, 2, 13, Kind.HIDDEN)
    add(store, 2, 13, Kind.REMOVED, after_noon_s=61)
    plain = folder(tmp_path)
    found = merged(plain, store)
    assert found.events is not None
    assert list(zip(found.events.hidden_users, found.events.hidden_movies, strict=True)) == [(1, 13), (7, 11)]
    assert ratings_of(found) == ratings_of(plain)


def test_implicit_data_count_what_was_watched_as_a_like(tmp_path: Path, store: EventStore) -> None:
    """Where every row of the files is a like, so is a watched movie, and a rating below the likes is not."""
    add(store, 1, 12, Kind.WATCHED)
    add(store, 1, 13, Kind.RATED, 0.5)
    add(store, 2, 13, Kind.RATED, 5)
    data = folder(tmp_path, "userId,movieId\n1,10\n2,10\n")
    assert ratings_of(merged(data, store)) == {(1, 10): 1, (2, 10): 1, (1, 12): 1, (1, 13): None, (2, 13): 1}


def test_ratings_beyond_the_scale_count_as_its_ends(tmp_path: Path, store: EventStore) -> None:
    """One client's rating of a million does not belittle all other ratings."""
    add(store, 1, 12, Kind.RATED, 1_000_000)
    add(store, 1, 13, Kind.RATED, -7)
    found = ratings_of(merged(folder(tmp_path), store))
    assert (found[1, 12], found[1, 13]) == (5, 0.5)


@pytest.mark.parametrize("has_list", [True, False])
def test_new_users_and_movies(tmp_path: Path, store: EventStore, has_list: bool) -> None:
    """New users come in. A movie that the list lacks is left out and counted; without a list it is new."""
    add(store, 9, 10, Kind.RATED, 5)
    add(store, 9, 99, Kind.RATED, 5)
    found = merged(folder(tmp_path, movies=MOVIES if has_list else ""), store)
    assert ratings_of(found)[9, 10] == 5
    assert ((9, 99) in ratings_of(found)) == (not has_list)
    assert (99 in set(found.movies["movie_id"])) == (not has_list)
    assert found.events is not None
    assert ("1 are left out, for the list of movies lacks theirs" in found.events.words) == has_list


def test_text_ids_keep_their_numbers(tmp_path: Path, store: EventStore) -> None:
    """Keys of events join those of the files, and get the next numbers of the table, which keeps the others."""
    data = folder(tmp_path, "user,movie,rating\nzoe,M2,5\nbob,M1,4\n", "")
    before, _, _ = with_lasting_ids(data, tmp_path)
    add(store, "amy", "M1", Kind.RATED, 5)
    add(store, "zoe", "M0", Kind.RATED, 3)
    add(store, "cat", "M2", Kind.HIDDEN)
    add(store, 418, "M2", Kind.WATCHED)  # was recorded when ids were numbers
    found = merged(data, store)
    expected = {("zoe", "M2"): 5, ("bob", "M1"): 4, ("amy", "M1"): 5, ("zoe", "M0"): 3}
    assert ratings_of(found) == expected
    lasting, users, movies = with_lasting_ids(found, tmp_path)
    assert (tmp_path / "keys" / "users.txt").read_text() == "bob\nzoe\namy\n"
    assert (tmp_path / "keys" / "movies.txt").read_text() == "M1\nM2\nM0\n"
    assert lasting.ratings["user_id"].tolist()[:2] == before.ratings["user_id"].tolist()
    assert users is not None
    assert movies is not None
    assert users.of(lasting.ratings["user_id"].to_numpy()).tolist() == [user for user, _ in expected]
    assert lasting.events is not None
    assert lasting.events.hidden_users.tolist() == [number_of_key("cat")]
    assert movies.of(lasting.events.hidden_movies).tolist() == ["M2"]
    assert "1 are left out, whose ids are text" in lasting.events.words


@pytest.mark.parametrize("text", [False, True])
def test_forgotten_users_stay_out(tmp_path: Path, store: EventStore, text: bool) -> None:
    """A forgotten user's ratings in the files are left out; what they do later counts."""
    user, other = ("zoe", "bob") if text else (1, 2)
    data = folder(tmp_path, f"user,movie,rating\n{user},10,5\n{user},11,4\n{other},10,5\n", "")
    add(store, user, 12, Kind.RATED, 5)
    store.forget(number_of_key(user) if isinstance(user, str) else user)
    found = merged(data, store)
    assert ratings_of(found) == {(other, 10): 5}
    assert found.user_keys is None or found.user_keys.tolist() == [other]
    add(store, user, 10, Kind.RATED, 2)
    assert ratings_of(merged(data, store)) == {(other, 10): 5, (user, 10): 2}
