"""Registers the RPCs of our own service, guarded: bounds concurrent calls, turns errors into statuses, counts and logs.

Handlers are wrapped once, at registration: a server interceptor would run for every call, and would wrap health and
reflection too, which must answer under overload.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from recommender_service.errors import InternalError, InvalidArgument, ServiceError, TooManyCalls
from recommender_service.metrics import CALLS, CALLS_IN_PROGRESS, CallTally
from recommender_service.turns import Turns

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[bytes]]


def add_guarded_service(
    server: grpc.aio.Server, service: ServiceDescriptor, servicer: object, turns: Turns, max_concurrent_calls: int
) -> None:
    """Let `servicer` answer the RPCs of a service, all of them unary.

    servicer: has a method of each RPC's name, which takes a request and a context and returns an encoded response.
    """
    guard = CallGuard(turns, max_concurrent_calls)
    handlers: dict[str, grpc.RpcMethodHandler[Any, bytes]] = {
        method.name: grpc.unary_unary_rpc_method_handler(
            guard.wrap(method.name, getattr(servicer, method.name)),
            request_deserializer=_lenient(GetMessageClass(method.input_type).FromString),
        )
        for method in service.methods
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))


class CallGuard:
    """Guards the calls of our own service. It is the only place that aborts a call."""

    def __init__(self, turns: Turns, max_concurrent_calls: int) -> None:
        self._turns = turns
        self._max_concurrent_calls = max_concurrent_calls
        self._in_progress = 0
        self._unlogged_refusals, self._log_refusals_at = 0, 0.0
        CALLS_IN_PROGRESS.set_function(lambda: self._in_progress)

    def wrap(self, name: str, behaviour: Behaviour) -> Behaviour:
        """The guarded form of an RPC's method.  name: of the RPC."""
        tally = CALLS[name] = CallTally()

        async def guarded(request: Any | None, context: Context) -> bytes:
            start = time.perf_counter()
            failure: ServiceError
            try:
                if request is None:
                    raise InvalidArgument("request", "expected a message in protobuf encoding, got other bytes")
                if self._in_progress >= self._max_concurrent_calls:
                    raise TooManyCalls(f"{self._in_progress} calls are in progress, the most allowed; retry later")
                self._in_progress += 1
                try:
                    await self._turns.begin()
                    response = await behaviour(request, context)
                    await self._turns.step()  # answers are sent together too
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
                # A line for each good call would cost more than the search it tells of.
                if log.isEnabledFor(logging.DEBUG):
                    _log_call(logging.DEBUG, name, "OK", start)
                tally.add("OK", time.perf_counter() - start)
                return response
            tally.add(failure.code.name, time.perf_counter() - start)
            trailers = (("grpc-status-details-bin", failure.status().SerializeToString()),)
            await context.abort(failure.code, str(failure), trailers)
            raise AssertionError("abort returned")

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
