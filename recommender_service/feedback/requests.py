"""Checks the events of a request, and says which numbers stand for users and movies in the store."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

from events.event import MAX_EVENT_ID_BYTES, Event, Kind, number_of_key
from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.checks import check_id, check_key
from recommender_service.errors import InvalidArgument
from recommender_service.release import Release

MAX_RATING = 1_000_000
MAX_AHEAD_US = 300_000_000  # five minutes
NANOS_PER_US, US_PER_S = 1_000, 1_000_000
SECONDS_OF_YEAR_10000 = 253_402_300_800  # the end of what a Timestamp can say

KINDS: Mapping[int, Kind] = {
    api.EVENT_KIND_WATCHED: Kind.WATCHED,
    api.EVENT_KIND_RATED: Kind.RATED,
    api.EVENT_KIND_HIDDEN: Kind.HIDDEN,
    api.EVENT_KIND_REMOVED: Kind.REMOVED,
}


def checked_event(release: Release, event: api.Event, now_us: int) -> Event:
    """The event as the store keeps it. Raises InvalidArgument.

    now_us: microseconds since 1970.
    """
    _check_text("event_id", event.event_id)
    num_bytes = len(event.event_id.encode("utf-8"))
    if not 1 <= num_bytes <= MAX_EVENT_ID_BYTES:
        raise InvalidArgument("event_id", f"expected 1 to {MAX_EVENT_ID_BYTES} bytes, got {num_bytes}")
    key_of_movie = partial(_key_of_movie, release) if release.rows_by_key is not None else None
    user, user_key = _named("user", event, release.user_keys.key_of if release.user_keys is not None else None)
    movie, movie_key = _named("movie", event, key_of_movie)
    kind = KINDS.get(event.kind)
    if kind is None:
        raise InvalidArgument("kind", f"expected a kind of event, got {event.kind}")
    rating, time_us = _rating(event), _time_us(event, now_us)
    return Event(event.event_id, user, user_key, movie, movie_key, kind, rating, time_us)


def _named(
    what: Literal["user", "movie"], event: api.Event, key_of: Callable[[int], str | None] | None
) -> tuple[int, str]:
    """(number, key) of the event's user or movie; the key is empty where the release knows them by number.

    key_of: the key of an id, None if the release does not know the id; None where the release knows them by number.
    """
    id_field, key_field = f"{what}_id", f"{what}_key"
    key: str = getattr(event, key_field)
    has_id = event.HasField("user_id" if what == "user" else "movie_id")
    if key:
        if has_id:
            raise InvalidArgument(key_field, f"expected {id_field} or {key_field}, got both")
        check_key(key_field, key, key_of is not None, id_field)
        _check_text(key_field, key)
        return number_of_key(key), key
    if not has_id:
        raise InvalidArgument(id_field, f"expected an id or {key_field}, got none")
    number: int = getattr(event, id_field)
    check_id(id_field, number)
    if key_of is None:
        return number, ""
    known = key_of(number)
    if known is None:
        raise InvalidArgument(id_field, f"expected {key_field}, or the id of a {what} of the release; got {number}")
    return number_of_key(known), known


def _key_of_movie(release: Release, movie_id: int) -> str | None:
    row = release.movie_rows.get(movie_id)
    return None if row is None else release.movies[row].key


def _rating(event: api.Event) -> float:
    """The rating, 0 for other kinds of events."""
    is_rated = event.kind == api.EVENT_KIND_RATED
    if event.HasField("rating") != is_rated:
        raise InvalidArgument("rating", "expected one with EVENT_KIND_RATED" if is_rated else "expected none, got one")
    if not (math.isfinite(event.rating) and abs(event.rating) <= MAX_RATING):
        raise InvalidArgument("rating", f"expected -{MAX_RATING:,} to {MAX_RATING:,}, got {event.rating:g}")
    return event.rating


def _time_us(event: api.Event, now_us: int) -> int:
    """When it happened, in microseconds since 1970; now if it does not say, or says a little later than now."""
    if not event.HasField("event_time"):
        return now_us
    seconds, nanos = event.event_time.seconds, event.event_time.nanos
    if not (0 <= seconds < SECONDS_OF_YEAR_10000 and 0 <= nanos < NANOS_PER_US * US_PER_S):
        raise InvalidArgument("event_time", f"expected 1970 or later, got {seconds} s and {nanos} ns since then")
    time_us = seconds * US_PER_S + nanos // NANOS_PER_US
    if time_us > now_us + MAX_AHEAD_US:
        ahead = f"{(time_us - now_us) // US_PER_S:,} s"
        raise InvalidArgument("event_time", f"expected at most 5 minutes ahead of the service's clock, got {ahead}")
    return min(time_us, now_us)


def _check_text(field: str, text: str) -> None:
    """Check that a text has no control characters: PostgreSQL refuses some, and with them all that is written along."""
    if not text.isprintable() and any(unicodedata.category(character) == "Cc" for character in text):
        raise InvalidArgument(field, "expected no control characters, got some")
