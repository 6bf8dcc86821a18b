"""Registers the RPCs of our own service, guarded: bounds concurrent calls, turns errors into statuses, counts and logs.

Handlers are wrapped once, at registration: a server interceptor would run for every call, and would wrap health and
reflection too, which must answer under overload.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from recommender_service.access.tokens import Tokens
from recommender_service.errors import (
    MALFORMED_REQUEST,
    InternalError,
    InvalidArgument,
    NotAllowed,
    ServiceError,
    TooManyCalls,
    Unauthenticated,
    abort,
)
from recommender_service.logs import RefusalLog
from recommender_service.metrics import CALLS, CALLS_IN_PROGRESS, CallTally
from recommender_service.receiver import Receiver
from recommender_service.request_ids import request_id
from recommender_service.turns import Turns

if TYPE_CHECKING:
    from recommender_service.tracing import Tracing

log = logging.getLogger(__name__)

LARGE_ANSWER_BYTES = 100_000
MAX_UNREAD_BYTES = 64 << 20  # of large answers, which take twice as much: Python has a copy of what gRPC holds

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[bytes]]


def add_guarded_service(
    server: grpc.aio.Server,
    service: ServiceDescriptor,
    servicer: object,
    receiver: Receiver,
    turns: Turns,
    max_concurrent_calls: int,
    tokens: Tokens | None,
    tracing: Tracing | None,
) -> None:
    """Let `servicer` answer the RPCs of a service, all of them unary.

    tokens: of which a call must carry one; None if calls need none.
    servicer: has a method of each RPC's name, which takes a request and a context and returns an encoded response.
    tracing: makes a span for each call, if it is not None.
    """
    guard = CallGuard(receiver, turns, max_concurrent_calls, tokens)
    # To gRPC they take streams of requests, of which they read one: then it lets the receiver read it.
    handlers: dict[str, grpc.RpcMethodHandler[Any, bytes]] = {}
    for method in service.methods:
        guarded = guard.wrap(method, getattr(servicer, method.name))
        traced = tracing.wrap(method, guarded) if tracing is not None else guarded
        handlers[method.name] = grpc.stream_unary_rpc_method_handler(traced)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))


class CallGuard:
    """Guards the calls of our own service."""

    def __init__(self, receiver: Receiver, turns: Turns, max_concurrent_calls: int, tokens: Tokens | None) -> None:
        self._receiver = receiver
        self._tokens = tokens
        self._turns = turns
        self._max_concurrent_calls = max_concurrent_calls
        self._unread_bytes = 0  # of large answers that clients have not taken yet
        self._overload, self._intruders = RefusalLog("overload"), RefusalLog("not authorized")
        CALLS_IN_PROGRESS.set_function(lambda: turns.in_progress)

    def wrap(self, method: MethodDescriptor, behaviour: Behaviour) -> Callable[[object, Context], Awaitable[bytes]]:
        """The guarded form of an RPC's method, as a handler of a stream of requests."""
        name, parse = method.name, GetMessageClass(method.input_type).FromString
        tally = CALLS[name] = CallTally()

        async def guarded(_: object, context: Context) -> bytes:
            start = time.perf_counter()
            failure: ServiceError
            try:
                if self._tokens is not None:  # before the request: without a token nobody makes this process hold one
                    self._tokens.check(context, name, self._receiver)
                request = _parsed(parse, await self._receiver.receive(context))
                in_progress = self._turns.in_progress
                if in_progress >= self._max_concurrent_calls:
                    raise TooManyCalls(f"{in_progress} calls are in progress, the most allowed; retry later")
                try:
                    await self._turns.begin()
                    response = await behaviour(request, context)
                    await self._turns.step()  # answers are sent together too
                    if len(response) > LARGE_ANSWER_BYTES:
                        self._hold_until_read(context, len(response))
                finally:
                    self._turns.end()
            except grpc.aio.AbortError:
                tally.add(context.code().name, time.perf_counter() - start)
                raise
            except ServiceError as error:
                failure, call_id = error, request_id(context)
                self._log_failure(name, error, context, start, call_id)
            except Exception:
                failure, call_id = InternalError(secrets.token_hex(4)), request_id(context)
                log.exception("bug", extra={"fields": {"rpc": name, "request_id": call_id, **failure.metadata}})
            else:
                # A line for each good call would cost more than the search it tells of.
                if log.isEnabledFor(logging.DEBUG):
                    _log_call(logging.DEBUG, name, "OK", start, request_id(context))
                tally.add("OK", time.perf_counter() - start)
                return response
            tally.add(failure.code.name, time.perf_counter() - start)
            # gRPC keeps the error of a call, and with its traceback this frame, until the client has ended the call.
            response = b""
            return await abort(context, failure.with_traceback(None), call_id)

        return guarded

    def _log_failure(self, name: str, error: ServiceError, context: Context, start: float, call_id: str) -> None:
        if isinstance(error, TooManyCalls):
            self._overload.add(name, error)
        elif isinstance(error, Unauthenticated | NotAllowed):
            self._intruders.add(name, error, peer=context.peer())
        else:
            _log_call(logging.INFO, name, error.code.name, start, call_id, reason=error.reason, message=str(error))

    def _hold_until_read(self, context: Context, num_bytes: int) -> None:
        """Count the bytes of an answer until the client has them. Raises TooManyCalls if too many wait already."""
        if self._unread_bytes + num_bytes > MAX_UNREAD_BYTES:
            waiting = f"{self._unread_bytes:,} bytes of large answers wait for clients to read them"
            message = f"{waiting}; the most allowed is {MAX_UNREAD_BYTES:,}; retry later"
            raise TooManyCalls(message, "TOO_MANY_UNREAD_ANSWERS")
        self._unread_bytes += num_bytes

        def release(_: Any) -> None:
            self._unread_bytes -= num_bytes

        context.add_done_callback(release)  # type: ignore[arg-type] # its stub wants a class of its own


def _parsed(parse: Callable[[bytes], Any], content: bytes | None) -> Any:
    """The request, or InvalidArgument is raised; gRPC would answer INTERNAL, as if the server were at fault."""
    if content is None:
        raise InvalidArgument("request", "expected a message, got none", MALFORMED_REQUEST)
    try:
        return parse(content)
    except DecodeError:
        problem = "expected a message in protobuf encoding, got other bytes"
        raise InvalidArgument("request", problem, MALFORMED_REQUEST) from None


def _log_call(level: int, rpc: str, code: str, start: float, call_id: str, **fields: str) -> None:
    latency_ms = round((time.perf_counter() - start) * 1e3, 2)
    known = {"rpc": rpc, "code": code, "latency_ms": latency_ms, "request_id": call_id}
    log.log(level, "call", extra={"fields": {**known, **fields}})
