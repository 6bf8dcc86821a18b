"""Events, and what became of them."""

from __future__ import annotations

import itertools

from google.protobuf.timestamp_pb2 import Timestamp

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import first_answer

WATCHED, RATED = api.EVENT_KIND_WATCHED, api.EVENT_KIND_RATED
HIDDEN, REMOVED = api.EVENT_KIND_HIDDEN, api.EVENT_KIND_REMOVED
MISSING = "recent events may be missing"
"""What answers say if the recommender has not read its event store within the last second."""

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


def events_status(stub: RecommenderServiceStub, problem: str = "") -> api.EventsStatus:
    """The first status of the event store with that problem.

    On a busy machine a recommender may be SERVING before it has opened its store, and later not read it for seconds.
    problem: or a part of it; empty if the store was just read.
    """
    return first_answer(
        lambda: stub.GetServingStatus(api.GetServingStatusRequest(), timeout=60).events,
        lambda status: problem in status.problem if problem else MISSING not in status.problem,
        f"the event store's problem is {problem!r}" if problem else "the event store was just read",
    )
