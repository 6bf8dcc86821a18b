"""The alerts and the dashboard, checked by Prometheus itself, against a stack that runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import Event, RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import first_answer
from tests.support.events import WATCHED, event, record
from tests.support.releases import EVEN_USER, UNKNOWN_USER
from tests.support.workers import supervised
from tools.processes import wait_for
from tools.prometheus import CONFIG, prometheus
from tools.servers import free_port
from trainer.cli.watch_metrics import Result, WatchMetrics

pytestmark = pytest.mark.slow

ROOT = CONFIG.parents[1]
DASHBOARD = ROOT / "deploy" / "grafana" / "recommender.json"
ALERT_TESTS = Path(__file__).with_name("alerts_test.yml")
BUSY_MACHINE = {"RecommenderModelServerSlow", "RecommenderDegradedAnswers", "RecommenderSlow"}  # they may fire on one
NEEDS_TLS = "recommender_certificate_expires_timestamp_seconds"

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH")
needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not on the PATH")


def alerts() -> dict[str, str]:
    """The text of each alert's rule, by its name."""
    rules = re.split(r"(?m)^ +- alert: ", (CONFIG / "alerts.yml").read_text(encoding="utf-8"))[1:]
    return {rule.split("\n", 1)[0]: rule for rule in rules}


def dashboard_queries() -> dict[str, str]:
    """The queries of the dashboard with its variables filled in, by panel and letter."""
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        .replace("$instance", ".*")
        .replace("$__rate_interval", "10s")
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }


def test_every_alert_has_a_section_of_the_runbook() -> None:
    """Each alert says what to do, and where docs/operations.md says more; no section is about another alert."""
    headings = re.findall(r"(?m)^#+ (Recommender\w+)$", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8"))
    assert sorted(headings) == sorted(alerts())
    for name, rule in alerts().items():
        assert f"runbook_url: docs/operations.md#{name.lower()}\n" in rule
        assert re.search(r"runbook: '.+\.'", rule)


@needs_promtool
def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    """The files of deploy/prometheus/ are what Prometheus expects."""
    for what, name in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        run = subprocess.run(["promtool", "check", what, CONFIG / name], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr


@needs_promtool
@pytest.mark.long
@pytest.mark.timeout(900)  # promtool takes half a minute of a core
def test_alerts_fire_when_they_should_and_in_no_healthy_hour() -> None:
    """By series that are given: what breaks fires the right alert, and a healthy hour fires none."""
    run = subprocess.run(["promtool", "test", "rules", ALERT_TESTS], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@needs_prometheus
def test_every_query_of_the_dashboard_finds_something(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> None:
    """A Prometheus that scrapes a stack of two workers under load has data for every query, and no alert fires.

    Where the machine is overloaded, those of slow answers may fire, and rightly.
    """
    events = f"sqlite:///{tmp_path / 'events.db'}"
    settings = {"METRICS_ADDRESS": "127.0.0.1:0", "USER_CACHE_SIZE": "1", "EVENTS_URL": events}
    trainer = f"127.0.0.1:{free_port()}"
    WatchMetrics(trainer).record(Result.NOTHING)
    with supervised(checkerboard_artifacts, model_server_address, tmp_path / "log", **settings) as (server, address):
        metrics = str(server.events("supervising")[0]["metrics"])
        with prometheus(metrics, tmp_path, "1s", trainer) as running, grpc.insecure_channel(address) as channel:
            stub = RecommenderServiceStub(channel)

            missing = {name: query for name, query in dashboard_queries().items() if NEEDS_TLS not in query}

            def empty() -> list[str]:
                record(stub, event(21, 2, WATCHED), Event(user_id=21, movie_id=2))
                for _ in range(5):
                    for request in (
                        RecommendRequest(user_id=EVEN_USER),
                        RecommendRequest(user_id=20),
                        RecommendRequest(user_id=20),
                        RecommendRequest(user_id=UNKNOWN_USER, liked_movie_ids=[2]),
                    ):
                        stub.Recommend(request, timeout=60)
                for name in [name for name, query in missing.items() if running.query(query)]:
                    del missing[name]
                return list(missing)

            try:
                wait_for(lambda: not empty(), "every query finds something", 150)
            except TimeoutError:
                assert empty() == []
                raise
            first_answer(running.firing, lambda firing: firing <= BUSY_MACHINE, "no other alert fires")
