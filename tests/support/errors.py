"""What a caller sees of a failed call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass(frozen=True)
class Failure:
    """A failed call: its status and the details of its `google.rpc.Status`, empty if there are none.

    code: the name of the status code.  violations: the problem with each field of the request, by field.
    """

    code: str
    message: str
    reason: str
    domain: str
    metadata: dict[str, str]
    violations: dict[str, str]


def failure_of(call: Callable[[], object]) -> Failure:
    """Make a call that must fail, and return its failure. Raises AssertionError if it succeeds."""
    try:
        answer = call()
    except grpc.RpcError as error:
        if not isinstance(error, grpc.Call):
            raise
        status = rpc_status.from_call(error)
        info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        for detail in status.details if status is not None else ():
            detail.Unpack(info)
            detail.Unpack(bad_request)
        violations = {v.field: v.description for v in bad_request.field_violations}
        return Failure(
            error.code().name, error.details() or "", info.reason, info.domain, dict(info.metadata), violations
        )
    raise AssertionError(f"the call succeeded: {answer}")
