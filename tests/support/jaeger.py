"""Jaeger, which collects traces, as a child process."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.processes import served, wait_for
from tools.servers import HOST, free_port

PROGRAM = "jaeger-all-in-one"
needs_jaeger = pytest.mark.skipif(shutil.which(PROGRAM) is None, reason=f"{PROGRAM} is not on the PATH")


@dataclass(frozen=True)
class CollectedSpan:
    """A span as Jaeger tells it.

    parent: the id of its parent span, "" if there is none.  links: ids of other spans that it refers to.
    """

    service: str
    name: str
    id: str
    parent: str
    links: list[str]
    tags: dict[str, object]


class Jaeger:
    """A running Jaeger."""

    def __init__(self, collector: str, query: str) -> None:
        """collector: URL for OTLP over gRPC.  query: URL of its API."""
        self.collector = collector
        self._query = query

    def spans(self, trace_id: str) -> list[CollectedSpan]:
        """The spans of a trace that it has, in order of their start."""
        try:
            with urllib.request.urlopen(f"{self._query}/api/traces/{trace_id}", timeout=60) as response:
                trace = json.load(response)["data"][0]
        except urllib.error.HTTPError:  # 404: no span of it yet
            return []
        services = {key: process["serviceName"] for key, process in trace["processes"].items()}
        spans = sorted(trace["spans"], key=lambda span: span["startTime"])
        return [_span(span, services[span["processID"]]) for span in spans]

    def wait_for_spans(self, trace_id: str, names: Sequence[str]) -> dict[str, CollectedSpan]:
        """The spans of a trace by name, once it has one of each name. Raises TimeoutError."""

        def found() -> dict[str, CollectedSpan]:
            return {span.name: span for span in self.spans(trace_id)}

        wait_for(lambda: set(names) <= set(found()), f"Jaeger has spans {names} of trace {trace_id}")
        return found()


def _span(span: dict[str, object], service: str) -> CollectedSpan:
    references, tags = span["references"], span["tags"]
    assert isinstance(references, list)
    assert isinstance(tags, list)
    return CollectedSpan(
        service,
        str(span["operationName"]),
        str(span["spanID"]),
        next((str(r["spanID"]) for r in references if r["refType"] == "CHILD_OF"), ""),
        [str(r["spanID"]) for r in references if r["refType"] == "FOLLOWS_FROM"],
        {tag["key"]: tag["value"] for tag in tags},
    )


@contextmanager
def jaeger(folder: Path) -> Iterator[Jaeger]:
    """Run Jaeger, which keeps traces in memory.  folder: for its log."""
    names = ("collector.otlp.grpc", "query.http-server", "query.grpc-server", "admin.http", "collector.grpc-server")
    addresses = {name: f"{HOST}:{free_port()}" for name in names}
    others = ("collector.otlp.http", "collector.http-server")
    flags = [f"--{name}.host-port={address}" for name, address in addresses.items()]
    flags += [f"--{name}.host-port={HOST}:{free_port()}" for name in others]
    with served([PROGRAM, *flags], folder / "jaeger.log", {"SPAN_STORAGE_TYPE": "memory"}, "Jaeger") as server:
        server.wait_for_line("Health Check state change.*ready")
        yield Jaeger(f"http://{addresses['collector.otlp.grpc']}", f"http://{addresses['query.http-server']}")
