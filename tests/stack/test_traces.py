"""Traces from a caller through the service to the model server, collected by Jaeger."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from protos.recommender.v1.recommender_pb2 import RecommendRequest, RecommendResponse
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import first_answer, undegraded
from tests.support.errors import failure_of
from tests.support.faulty_model_server import faulty_model_server
from tests.support.jaeger import Jaeger, jaeger, needs_jaeger
from tests.support.releases import publish_checkerboard
from tools.processes import Server, wait_for
from tools.servers import recommender, wait_until_serving

pytestmark = pytest.mark.slow

RECOMMEND = "recommender.v1.RecommenderService/Recommend"
PREDICT = "tensorflow.serving.PredictionService/Predict"


class Traced:
    """A recommender whose spans Jaeger collects, between a caller and a model server that logs what it is sent."""

    def __init__(self, collector: Jaeger, models: Server, server: Server, stub: RecommenderServiceStub) -> None:
        self.jaeger, self.models, self.server, self.stub = collector, models, server, stub

    def predicts(self, trace_id: str) -> set[tuple[str, bool]]:
        """(span id, whether it is sampled) of each Predict of a trace, as the model server was sent them.

        gRPC sends one again, with the same span, if the model server stalls.
        """
        found = re.findall(rf"^predict .* span 00-{trace_id}-(\w+)-(\w+)$", self.models.text(), re.MULTILINE)
        return {(span, bool(int(flags, 16) & 1)) for span, flags in found}

    def recommend(self, sampled: bool = True) -> str:
        """The trace id of a call that is answered by way of the model server."""
        trace_ids: list[str] = []

        def ask() -> RecommendResponse:
            trace_ids.append(secrets.token_hex(16))
            return self.stub.Recommend(RecommendRequest(user_id=20), metadata=traceparent(trace_ids[-1], sampled))

        undegraded(ask)
        return trace_ids[-1]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("traced")
    release = folder / "releases" / str(publish_checkerboard(folder))
    settings = {"USER_CACHE_SIZE": "0", "OTEL_BSP_SCHEDULE_DELAY": "200"}
    with (
        jaeger(folder) as collector,
        faulty_model_server(release, folder / "models.log") as (models, models_address, _),
        recommender(
            folder, models_address, folder / "log", OTEL_EXPORTER_OTLP_ENDPOINT=collector.collector, **settings
        ) as (server, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        yield Traced(collector, models, server, RecommenderServiceStub(channel))


def traceparent(trace_id: str, sampled: bool = True) -> tuple[tuple[str, str], ...]:
    """Metadata of a call that belongs to a trace."""
    return (("traceparent", f"00-{trace_id}-{secrets.token_hex(8)}-{int(sampled):02d}"),)


@needs_jaeger
def test_a_trace_leads_from_the_caller_to_the_model_server(traced: Traced) -> None:
    """The caller's span is the parent of the service's, and that one of Predict's, which the model server is sent."""
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=traced.jaeger.collector)))
    trace_ids: list[str] = []

    def ask() -> RecommendResponse:
        metadata: dict[str, str] = {}
        with provider.get_tracer("shop").start_as_current_span("basket") as basket:
            TraceContextTextMapPropagator().inject(metadata)
            metadata["x-request-id"] = "basket-1"
            trace_ids.append(format_trace_id(basket.get_span_context().trace_id))
            return traced.stub.Recommend(RecommendRequest(user_id=10), metadata=tuple(metadata.items()))

    undegraded(ask)
    trace_id = trace_ids[-1]
    spans = traced.jaeger.wait_for_spans(trace_id, ["basket", RECOMMEND, PREDICT])
    assert [spans[name].service for name in ("basket", RECOMMEND, PREDICT)] == ["shop", "recommender", "recommender"]
    assert spans[RECOMMEND].parent == spans["basket"].id
    assert spans[PREDICT].parent == spans[RECOMMEND].id
    assert traced.predicts(trace_id) == {(spans[PREDICT].id, True)}
    assert spans[RECOMMEND].tags["request.id"] == "basket-1"
    assert spans[RECOMMEND].tags["rpc.grpc.status_code"] == 0
    assert spans[PREDICT].tags["batch_size"] == 1
    provider.shutdown()


@needs_jaeger
def test_a_batched_predict_links_to_all_its_callers(traced: Traced) -> None:
    """Calls that share a Predict are linked from its span, which is a child of one of them."""
    trace_ids: list[str] = []

    def ask() -> list[RecommendResponse]:
        trace_ids[:] = [secrets.token_hex(16) for _ in range(12)]
        calls = [
            traced.stub.Recommend.future(RecommendRequest(user_id=user), metadata=traceparent(trace_id))
            for user, trace_id in zip([10, 11, 20, 21] * 3, trace_ids, strict=True)
        ]
        return [call.result(timeout=60) for call in calls]

    answers = first_answer(ask, lambda some: not any(one.degraded_reason for one in some), "none of 12 is degraded")
    assert all(answer.movies for answer in answers)
    callers = {traced.jaeger.wait_for_spans(trace_id, [RECOMMEND])[RECOMMEND].id for trace_id in trace_ids}

    def linked() -> set[str]:
        spans = [span for trace_id in trace_ids for span in traced.jaeger.spans(trace_id) if span.name == PREDICT]
        return {link for span in spans for link in (*span.links, span.parent)}

    wait_for(lambda: linked() == callers, "every call is linked from a Predict")


@needs_jaeger
def test_a_failed_call_names_its_trace_in_the_log(traced: Traced) -> None:
    """The log line of a failed call has the id of its trace, and the span has the status."""
    trace_id = secrets.token_hex(16)
    failure_of(lambda: traced.stub.Recommend(RecommendRequest(user_id=-1), metadata=traceparent(trace_id)))
    assert traced.server.events("call")[-1]["trace_id"] == trace_id
    span = traced.jaeger.wait_for_spans(trace_id, [RECOMMEND])[RECOMMEND]
    assert span.tags["rpc.grpc.status_code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]


@needs_jaeger
def test_a_call_that_is_not_sampled_makes_no_span(traced: Traced) -> None:
    """What the caller does not sample is not collected, but the model server is told the trace."""
    quiet, loud = traced.recommend(sampled=False), traced.recommend()
    traced.jaeger.wait_for_spans(loud, [RECOMMEND, PREDICT])
    assert traced.jaeger.spans(quiet) == []
    assert [sampled for _, sampled in traced.predicts(quiet)] == [False]


def test_without_a_collector_nothing_of_it_is_loaded() -> None:
    """The service imports no module of OpenTelemetry unless traces are on."""
    code = "import recommender_service.server, sys; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_collector_that_is_away_changes_no_answer(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> None:
    """Calls are answered while no collector listens, and the service stops in time."""
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    with recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", **settings) as (server, address):
        wait_until_serving(address)
        with grpc.insecure_channel(address) as channel:
            assert RecommenderServiceStub(channel).Recommend(RecommendRequest(user_id=10)).movies
        assert server.stop() == 0
