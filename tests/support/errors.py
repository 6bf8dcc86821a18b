"""What a caller sees of a failed call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass(frozen=True)
class Failure:
    """A failed call: its status and the details of its `google.rpc.Status`, empty if there are none.

    code: the name of the status code.  violations: the problem with each field of the request, by field.
    retry_s: the pause that the error asks for; None if it names none.
    trailers_bytes: the size of the message and of all other trailers as they are sent.
    """

    code: str
    message: str
    reason: str
    domain: str
    metadata: dict[str, str]
    violations: dict[str, str]
    retry_s: float | None
    trailers_bytes: int


def failure_of(call: Callable[[], object]) -> Failure:
    """Make a call that must fail, and return its failure. Raises AssertionError if it succeeds."""
    try:
        answer = call()
    except grpc.RpcError as error:
        if not isinstance(error, grpc.Call):
            raise
        status = rpc_status.from_call(error)
        info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry, retry_s = error_details_pb2.RetryInfo(), None
        for detail in status.details if status is not None else ():
            detail.Unpack(info)
            detail.Unpack(bad_request)
            if detail.Unpack(retry):
                retry_s = retry.retry_delay.ToTimedelta().total_seconds()
        violations = {v.field: v.description for v in bad_request.field_violations}
        return Failure(
            error.code().name,
            error.details() or "",
            info.reason,
            info.domain,
            dict(info.metadata),
            violations,
            retry_s,
            _trailers_bytes(error),
        )
    raise AssertionError(f"the call succeeded: {answer}")


def _trailers_bytes(error: grpc.Call) -> int:
    """The size of a failed call's trailers. Bytes are sent in base64, and the message with escapes of three bytes."""
    message = len(quote(error.details() or "", safe=" !#$&'()*+,/:;<=>?@[]^_`{|}~\""))
    values = [
        (4 * len(value) + 2) // 3 if isinstance(value, bytes) else len(value)
        for _, value in error.trailing_metadata() or ()
    ]
    return message + sum(values)
