"""The Prometheus metrics on the REST port."""

from __future__ import annotations

import urllib.request

from tests.conformance.moving import Moving
from tests.conformance.prepared import METRICS
from tests.conformance.requests import ids, predict
from tests.conformance.rest_calls import call, rows
from tests.conformance.target import Target
from tests.support.saved_models import warmup_record, write_warmup

PREFIX = ":tensorflow:serving:"


def scrape(rest: str) -> dict[str, float]:
    """sample's name with its labels → its value"""
    with urllib.request.urlopen(f"{rest}{METRICS}", timeout=60) as response:
        lines = response.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}


def latency(kind: str, api: str, entrypoint: str, more: str = "") -> str:
    """The name of a sample of the histogram of latencies of the model `user`."""
    return f'{PREFIX}request_latency_{kind}{{model_name="user",API="{api}",entrypoint="{entrypoint}"{more}}}'


def test_metrics_count_requests_by_their_status(rest: str) -> None:
    """Two good predicts and a bad one are counted as such."""
    good = f'{PREFIX}request_count{{model_name="user",status="OK"}}'
    bad = f'{PREFIX}request_count{{model_name="user",status="INVALID_ARGUMENT"}}'
    before = scrape(rest)
    for body in (rows(1), rows(2), rows(99)):
        call(f"{rest}/v1/models/user:predict", body)
    after = scrape(rest)
    assert after[good] - before.get(good, 0) == 2
    assert after[bad] - before.get(bad, 0) == 1


def test_metrics_have_a_histogram_of_latencies(rest: str) -> None:
    """A good predict adds one to the count and to the last bucket, and its time to the sum; a bad one adds nothing."""
    count, total = latency("count", "predict", "REST"), latency("sum", "predict", "REST")
    before = scrape(rest)
    for body in (rows(1), rows(99)):
        call(f"{rest}/v1/models/user:predict", body)
    after = scrape(rest)
    assert after[count] - before.get(count, 0) == 1
    assert after[total] > before.get(total, 0)
    assert after[latency("bucket", "predict", "REST", ',le="+Inf"')] == after[count]


def test_metrics_tell_how_the_server_was_called(rest: str, target: Target) -> None:
    """The label `API` is "predict" by REST, "Predict" by gRPC, and empty for a status by REST."""
    names = [latency("count", *labels) for labels in (("predict", "REST"), ("Predict", "GRPC"), ("", "REST"))]
    before = scrape(rest)
    call(f"{rest}/v1/models/user:predict", rows(1))
    target.call(predict(ids(1)))
    call(f"{rest}/v1/models/user")
    after = scrape(rest)
    assert [after[name] - before.get(name, 0) for name in names] == [1, 1, 1]


def test_metrics_time_the_warm_up(rest: str, moving: Moving) -> None:
    """There is a histogram for each version that was warmed up."""
    moving.publish(1, lambda folder: write_warmup(folder, warmup_record(3)))
    moving.serve()
    warm = [name for name in scrape(rest) if name.startswith(f"{PREFIX}model_warmup_latency_count{{")]
    assert any(f"{moving.name}/1" in name and 'status="OK"' in name for name in warm)
