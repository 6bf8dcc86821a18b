"""Events, and what became of them."""

from __future__ import annotations

import itertools

from google.protobuf.timestamp_pb2 import Timestamp

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub

WATCHED, RATED = api.EVENT_KIND_WATCHED, api.EVENT_KIND_RATED
HIDDEN, REMOVED = api.EVENT_KIND_HIDDEN, api.EVENT_KIND_REMOVED

_IDS = itertools.count()


def event(
    user_id: int, movie_id: int, kind: api.EventKind, rating: float | None = None, seconds: int | None = None
) -> api.Event:
    """An event with an id of its own.  seconds: its time, since 1970; None for now."""
    time = Timestamp(seconds=seconds) if seconds is not None else None
    return api.Event(
        event_id=f"event-{next(_IDS)}", user_id=user_id, movie_id=movie_id, kind=kind, rating=rating, event_time=time
    )


def record(stub: RecommenderServiceStub, *events: api.Event) -> api.RecordEventsResponse:
    """Record the events in one call."""
    return stub.RecordEvents(api.RecordEventsRequest(events=events), timeout=60)
