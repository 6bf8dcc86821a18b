"""The errors a call can end with. They are raised where they are known; `abort` turns them into statuses."""

from __future__ import annotations

from typing import Any, NoReturn

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode, aio

from recommender_service import request_ids

DOMAIN = "recommender.v1"
MAX_MESSAGE_BYTES = 1000
"""A message comes back three times, encoded, and many clients take no more than 8 KiB of trailers."""

RETRY_DELAY = duration_pb2.Duration(nanos=500_000_000)
RETRYABLE = (StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED)


# Reasons of InvalidArgument.
OUT_OF_BOUNDS = "OUT_OF_BOUNDS"  # a number, a length or a count
FIELD_MISSING = "FIELD_MISSING"
FIELDS_EXCLUDE_EACH_OTHER = "FIELDS_EXCLUDE_EACH_OTHER"
IDS_ARE_NUMBERS = "IDS_ARE_NUMBERS"
UNKNOWN_GENRE = "UNKNOWN_GENRE"
WRONG_PAGE_TOKEN = "WRONG_PAGE_TOKEN"
ANSWER_TOO_LARGE = "ANSWER_TOO_LARGE"
MALFORMED_REQUEST = "MALFORMED_REQUEST"


class ServiceError(Exception):
    """A call ends with a status other than OK.

    code: the status.  reason: a stable name for programs; the message is for people.
    """

    code: StatusCode
    reason: str

    def __init__(self, message: str, **metadata: object) -> None:
        """message: is cut to MAX_MESSAGE_BYTES."""
        super().__init__(_cut(message))
        self.metadata = {key: str(value) for key, value in metadata.items()}

    def details(self) -> list[Message]:
        """Messages for `google.rpc.Status.details`."""
        info = error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self.metadata)
        return [info, error_details_pb2.RetryInfo(retry_delay=RETRY_DELAY)] if self.code in RETRYABLE else [info]

    def status(self) -> status_pb2.Status:
        """The `google.rpc.Status` that goes into the `grpc-status-details-bin` trailer."""
        packed = []
        for detail in self.details():
            wrapper = any_pb2.Any()
            wrapper.Pack(detail)
            packed.append(wrapper)
        return status_pb2.Status(code=self.code.value[0], message=str(self), details=packed)


class InvalidArgument(ServiceError):
    """A field of the request holds a value that is not allowed."""

    code = StatusCode.INVALID_ARGUMENT

    def __init__(self, field: str, problem: str, reason: str = OUT_OF_BOUNDS) -> None:
        super().__init__(f"{field}: {problem}", field=field)
        self.field, self.problem, self.reason = field, _cut(problem), reason

    def details(self) -> list[Message]:
        violation = error_details_pb2.BadRequest.FieldViolation(field=self.field, description=self.problem)
        return [*super().details(), error_details_pb2.BadRequest(field_violations=[violation])]


class UnknownMovie(ServiceError):
    """The release's catalogue does not list the movie."""

    code = StatusCode.NOT_FOUND
    reason = "UNKNOWN_MOVIE"

    def __init__(self, movie: int | str, version: int) -> None:
        """movie: its id or its key."""
        named = str(movie)[:40]
        super().__init__(f"movie {named} is not in release {version}", movie_id=named, release=version)


class Unauthenticated(ServiceError):
    """The call carries no token that is valid."""

    code = StatusCode.UNAUTHENTICATED
    reason = "MISSING_TOKEN"


class UnknownToken(Unauthenticated):
    """The call's token is not in the file of tokens, or not any more."""

    reason = "UNKNOWN_TOKEN"


class NotAllowed(ServiceError):
    """The call's token is valid, but not for this RPC."""

    code = StatusCode.PERMISSION_DENIED
    reason = "METHOD_NOT_ALLOWED"

    def __init__(self, caller: str, method: str) -> None:
        """caller: as the file of tokens names it."""
        super().__init__(f"the token of {caller} is not good for {method}", caller=caller, method=method)


class NoActiveRelease(ServiceError):
    """No release is active yet, so nothing can be answered."""

    code = StatusCode.UNAVAILABLE
    reason = "NO_ACTIVE_RELEASE"


class ReleaseGone(ServiceError):
    """A call names a release that this process does not hold, or not any more."""

    code = StatusCode.UNAVAILABLE
    reason = "RELEASE_GONE"

    def __init__(self, version: int, active: int) -> None:
        """active: the version of the active release."""
        super().__init__(
            f"release {version} is not held here; release {active} is active", release=version, active_release=active
        )


class ModelServerUnavailable(ServiceError):
    """The model server did not give the user's embedding. Recommend may answer from the liked movies instead."""

    code = StatusCode.UNAVAILABLE
    reason = "MODEL_SERVER_UNAVAILABLE"

    def __init__(self, message: str, why: str) -> None:
        """why: one of metrics.FALLBACK_REASONS."""
        super().__init__(message)
        self.why = why


class MilvusUnavailable(ServiceError):
    """Milvus did not find the nearest movies. Recommend may answer with popular ones instead."""

    code = StatusCode.UNAVAILABLE
    reason = "MILVUS_UNAVAILABLE"

    def __init__(self, message: str, why: str) -> None:
        """why: one of metrics.FALLBACK_REASONS."""
        super().__init__(message)
        self.why = why


class EventsAreOff(ServiceError):
    """There is no event store to record events in."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "EVENTS_ARE_OFF"

    def __init__(self) -> None:
        super().__init__("this service records no events: its operator has not set EVENTS_URL")


class EventStoreUnavailable(ServiceError):
    """The event store cannot be written to, or does not answer. Events may have become durable all the same."""

    code = StatusCode.UNAVAILABLE
    reason = "EVENT_STORE_UNAVAILABLE"


class DeadlineExceeded(ServiceError):
    """The caller's deadline leaves no time for an answer."""

    code = StatusCode.DEADLINE_EXCEEDED
    reason = "NO_TIME_LEFT"


class NotConfirmedInTime(DeadlineExceeded):
    """The caller's deadline passed before events were known to be durable. They may become so all the same."""

    reason = "EVENTS_NOT_CONFIRMED"


class TooManyCalls(ServiceError):
    """The service does as much as it allows itself, and refuses more."""

    code = StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, message: str, reason: str = "TOO_MANY_CONCURRENT_CALLS") -> None:
        super().__init__(message)
        self.reason = reason


class UnfinishedRequest(ServiceError):
    """The client began to send a request and did not end it in time."""

    code = StatusCode.DEADLINE_EXCEEDED
    reason = "UNFINISHED_REQUEST"

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"expected the whole request within {timeout_s:g} s")


class Stopping(ServiceError):
    """The service has been told to stop."""

    code = StatusCode.UNAVAILABLE
    reason = "STOPPING"

    def __init__(self) -> None:
        super().__init__("the service is stopping")


class InternalError(ServiceError):
    """A bug stopped the call. The log holds the traceback under the error id."""

    code = StatusCode.INTERNAL
    reason = "BUG"

    def __init__(self, error_id: str) -> None:
        super().__init__(f"internal error {error_id}; the server's log holds the details", error_id=error_id)


async def abort(context: aio.ServicerContext[Any, Any], error: ServiceError, name: str = "") -> NoReturn:
    """End a call with the error's status. Raises grpc.aio.AbortError.

    name: the request id, if the log has one already.
    """
    trailers = (
        ("grpc-status-details-bin", error.status().SerializeToString()),
        (request_ids.HEADER, name or request_ids.request_id(context)),
    )
    await context.abort(error.code, str(error), trailers)
    raise AssertionError("abort returned")


def _cut(message: str) -> str:
    """The message, or its beginning if it is longer than MAX_MESSAGE_BYTES in UTF-8."""
    encoded = message.encode("utf-8", "replace")
    if len(encoded) <= MAX_MESSAGE_BYTES:
        return encoded.decode("utf-8")
    return encoded[: MAX_MESSAGE_BYTES - len("…".encode())].decode("utf-8", "ignore") + "…"
