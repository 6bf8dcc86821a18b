"""Traces of calls by OpenTelemetry, sent to a collector by OTLP over gRPC.

This module is imported only if OTEL_EXPORTER_OTLP_ENDPOINT is set. OpenTelemetry's own variables choose the sampler,
the name of the service and the like.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Any, Generic, TypeVar

import grpc
import numpy as np
from google.protobuf.descriptor import MethodDescriptor
from opentelemetry import trace
from opentelemetry.context import Context, attach
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from recommender_service.request_ids import request_id
from recommender_service.user_embeddings.micro_batcher import Fetch

DEFAULT_NAME = "recommender"
STOP_TIMEOUT_S = 2.0  # for the last spans; a collector that is away must not hold up the end of the service
PREDICT = {"rpc.system": "grpc", "rpc.service": "tensorflow.serving.PredictionService", "rpc.method": "Predict"}
# The statuses that are the server's fault, by OpenTelemetry's conventions.
FAULTS = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}

Key = TypeVar("Key", bound=Hashable)
Handler = Callable[[object, grpc.aio.ServicerContext[Any, Any]], Awaitable[bytes]]

propagator = TraceContextTextMapPropagator()


class Tracing:
    """Makes spans of calls and of Predict calls."""

    def __init__(self) -> None:
        os.environ.setdefault("OTEL_SERVICE_NAME", DEFAULT_NAME)
        resource = Resource.create({"service.version": version("movie-recommender"), "process.pid": os.getpid()})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("recommender_service")
        for handler in logging.getLogger().handlers:
            handler.addFilter(_add_trace_id)

    def wrap(self, method: MethodDescriptor, handler: Handler) -> Handler:
        """The handler of an RPC, with a span for each call. It continues the trace in the call's metadata."""
        name = f"{method.containing_service.full_name}/{method.name}"
        attributes = {
            "rpc.system": "grpc",
            "rpc.service": method.containing_service.full_name,
            "rpc.method": method.name,
        }

        async def traced(requests: object, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
            span = self._tracer.start_span(name, _parent(context), SpanKind.SERVER, attributes)
            attach(trace.set_span_in_context(span, Context()))  # gRPC runs each call in a task of its own
            if not span.is_recording():
                return await handler(requests, context)
            span.set_attribute("request.id", request_id(context))
            code = grpc.StatusCode.CANCELLED  # unless it ends otherwise
            try:
                response = await handler(requests, context)
                code = grpc.StatusCode.OK
                return response
            except grpc.aio.AbortError:
                code = context.code()
                raise
            finally:
                span.set_attribute("rpc.grpc.status_code", code.value[0])
                if code in FAULTS:
                    span.set_status(StatusCode.ERROR, code.name)
                span.end()

        return traced

    def waiting_calls(self, predict: Fetch[Key], signature: str) -> WaitingCalls[Key]:
        """What makes spans of a kind of Predict.  signature: of the model, that `predict` calls."""
        return WaitingCalls(self._tracer, predict, signature)

    def client_span(self, name: str) -> AbstractContextManager[Span]:
        """A span of something that the current call asks of another server."""
        return self._tracer.start_as_current_span(name, kind=SpanKind.CLIENT)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What passes the current span on to another server."""
        carrier: dict[str, str] = {}
        propagator.inject(carrier)
        return tuple(carrier.items())

    async def stop(self) -> None:
        """Send the spans that wait, within STOP_TIMEOUT_S."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, STOP_TIMEOUT_S)


class WaitingCalls(Generic[Key]):
    """Knows which calls wait for which keys of a micro-batch.

    The span of a Predict is a child of the first call that is sampled, and links to the others that are.
    """

    def __init__(self, tracer: trace.Tracer, predict: Fetch[Key], signature: str) -> None:
        self._tracer = tracer
        self._predict = predict
        self._attributes = {**PREDICT, "signature": signature}
        self._waiting: dict[Key, list[SpanContext]] = {}
        self._span: Span = trace.INVALID_SPAN  # of the Predict that is under way

    def join(self, queued: Iterable[Key], in_progress: bool) -> None:
        """Remember that the current call waits for these keys.

        in_progress: whether it also waits for keys of the Predict that is under way.
        """
        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return
        for key in queued:
            self._waiting.setdefault(key, []).append(context)
        if in_progress and context.trace_flags.sampled:
            self._span.add_link(context)

    async def predict(self, keys: Sequence[Key]) -> np.ndarray:
        """Predict, in a span."""
        calls = {context.span_id: context for key in keys for context in self._waiting.pop(key, ())}.values()
        sampled = [context for context in calls if context.trace_flags.sampled]
        parents = [NonRecordingSpan(context) for context in (*sampled, *calls)]
        parent = trace.set_span_in_context(parents[0], Context()) if parents else Context()
        attributes: Mapping[str, str | int] = {**self._attributes, "batch_size": len(keys)}
        name = f"{PREDICT['rpc.service']}/{PREDICT['rpc.method']}"
        links = [Link(context) for context in sampled[1:]]
        with self._tracer.start_as_current_span(name, parent, SpanKind.CLIENT, attributes, links) as self._span:
            return await self._predict(keys)


def _parent(context: grpc.aio.ServicerContext[Any, Any]) -> Context:
    """The span that the caller names, or none."""
    carrier = {key: value for key, value in context.invocation_metadata() or () if key in propagator.fields}
    return propagator.extract(carrier, Context()) if carrier else Context()


def _add_trace_id(record: logging.LogRecord) -> bool:
    """Let log lines name the trace of their call."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        record.trace_id = trace.format_trace_id(context.trace_id)
    return True
