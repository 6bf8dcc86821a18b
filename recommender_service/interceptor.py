"""Wraps every call of our own service: bounds concurrent calls, turns errors into statuses, counts and logs."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError

from recommender_service.errors import InternalError, InvalidArgument, ServiceError, TooManyCalls
from recommender_service.metrics import CALL_SECONDS, CALLS, CALLS_IN_PROGRESS

log = logging.getLogger(__name__)

PREFIX = "/recommender.v1."  # health and reflection stay unwrapped, because they must answer under overload too

Behaviour = Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Guards the calls of our own service. It is the only place that aborts a call."""

    def __init__(self, max_concurrent_calls: int) -> None:
        self._max_concurrent_calls = max_concurrent_calls
        self._in_progress = 0
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._unlogged_refusals, self._log_refusals_at = 0, 0.0
        CALLS_IN_PROGRESS.set_function(lambda: self._in_progress)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None or not method.startswith(PREFIX):
            return handler
        self._wrapped[method] = grpc.unary_unary_rpc_method_handler(
            self._guard(method, cast(Behaviour, handler.unary_unary)),
            request_deserializer=_lenient(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )
        return self._wrapped[method]

    def _guard(self, method: str, behaviour: Behaviour) -> Behaviour:
        name = method.rpartition("/")[2]
        # Looking the metrics up once saves time in every call.
        succeeded, seconds = CALLS.labels(name, "OK"), CALL_SECONDS.labels(name)

        async def guarded(request: Any | None, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            start = time.perf_counter()
            failure: ServiceError
            try:
                if request is None:
                    raise InvalidArgument("request", "expected an encoded protobuf message, got other bytes")
                if self._in_progress >= self._max_concurrent_calls:
                    raise TooManyCalls(
                        f"{self._in_progress} calls are in progress, and no more are allowed; retry later"
                    )
                self._in_progress += 1
                try:
                    response = await behaviour(request, context)
                finally:
                    self._in_progress -= 1
            except TooManyCalls as error:
                failure = error
                self._log_refusal(name, error)
            except ServiceError as error:
                failure = error
                _log_call(logging.INFO, name, failure.code.name, start, reason=failure.reason, message=str(failure))
            except Exception:
                failure = InternalError(secrets.token_hex(4))
                log.exception("bug", extra={"fields": {"rpc": name, **failure.metadata}})
            else:
                # Logging every successful call would cost more than its search for neighbours.
                if log.isEnabledFor(logging.DEBUG):
                    _log_call(logging.DEBUG, name, "OK", start)
                succeeded.inc()
                seconds.observe(time.perf_counter() - start)
                return response
            CALLS.labels(name, failure.code.name).inc()
            seconds.observe(time.perf_counter() - start)
            trailers = (("grpc-status-details-bin", failure.status().SerializeToString()),)
            return await context.abort(failure.code, str(failure), trailers)

        return guarded

    def _log_refusal(self, name: str, error: TooManyCalls) -> None:
        """Log refused calls, at most once a second, because a line for each would add to the overload."""
        self._unlogged_refusals += 1
        if time.monotonic() >= self._log_refusals_at:
            fields = {"rpc": name, "code": error.code.name, "refused": self._unlogged_refusals, "message": str(error)}
            log.warning("overload", extra={"fields": fields})
            self._unlogged_refusals, self._log_refusals_at = 0, time.monotonic() + 1


def _lenient(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """A deserializer that returns None for bytes that are no message.

    If it raised, grpc would answer INTERNAL, as if the server were at fault.
    """

    def parse(content: bytes) -> Any | None:
        try:
            return content if deserialize is None else deserialize(content)
        except DecodeError:
            return None

    return parse


def _log_call(level: int, rpc: str, code: str, start: float, **fields: str) -> None:
    latency_ms = round((time.perf_counter() - start) * 1e3, 2)
    log.log(level, "call", extra={"fields": {"rpc": rpc, "code": code, "latency_ms": latency_ms, **fields}})
