"""The error that a call can end with."""

from __future__ import annotations

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2
from grpc_status import rpc_status


class RecommenderError(Exception):
    """A call ended without an answer.

    code: the status.  reason: a stable name such as UNKNOWN_MOVIE; empty if gRPC or a proxy ended the call.
    fields: for INVALID_ARGUMENT, the fields of the request that are wrong and why.
    retry_after_s: seconds to wait before another try; None if the recommender names none.
    """

    def __init__(
        self, code: grpc.StatusCode, message: str, reason: str, fields: dict[str, str], retry_after_s: float | None
    ) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.reason = reason
        self.fields = fields
        self.retry_after_s = retry_after_s


def error_of(failure: grpc.RpcError) -> RecommenderError:
    """Return what a failed call tells, as one error."""
    assert isinstance(failure, grpc.Call | grpc.aio.AioRpcError)  # every error of a call is one
    reason, fields, retry_after_s = "", {}, None
    for detail in _details(failure):
        info = error_details_pb2.ErrorInfo()
        request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(request):
            fields = {violation.field: violation.description for violation in request.field_violations}
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
    return RecommenderError(failure.code(), failure.details() or "", reason, fields, retry_after_s)


def _details(failure: grpc.Call | grpc.aio.AioRpcError) -> list[Any]:
    try:
        status = rpc_status.from_call(failure)  # type: ignore[arg-type] # its stub does not know grpc.aio
    except ValueError:  # a proxy has changed the code or the message
        return []
    return [] if status is None else list(status.details)
