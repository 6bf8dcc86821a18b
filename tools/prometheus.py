"""Prometheus as a child process, with the alerts of deploy/prometheus/, and what it answers."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.processes import served
from tools.servers import HOST, free_port

CONFIG = Path(__file__).parents[1] / "deploy" / "prometheus"
TARGET, TRAINER = "recommender:9464", "watch:9464"  # in prometheus.yml


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an instant query returns, but for NaN. Raises HTTPError if the query is wrong."""
        found: list[dict[str, Any]] = self._get("query", {"query": expression})["result"]
        return [series for series in found if series["value"][1] != "NaN"]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        alerts = self._get("alerts", {})["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def runbook(self, alert: str) -> str:
        """What an alert's annotation says that one should do."""
        rules = [rule for group in self._get("rules", {})["groups"] for rule in group["rules"]]
        return next(str(rule["annotations"]["runbook"]) for rule in rules if rule["name"] == alert)

    def _get(self, path: str, parameters: dict[str, str]) -> Any:
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=60) as response:
            return json.load(response)["data"]


@contextmanager
def prometheus(
    metrics_address: str, folder: Path, interval: str = "", trainer_address: str = f"{HOST}:1"
) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the two host:port, of a service and of a trainer, as prometheus.yml says.

    folder: for its data, its log and its configuration.  interval: between scrapes and evaluations, such as 1s; that of
    the file if it is empty.  trainer_address: by default one where nobody listens.  `prometheus` must be on the PATH.
    """
    config = (CONFIG / "prometheus.yml").read_text(encoding="utf-8")
    for name, there in (
        (TARGET, metrics_address),
        (TRAINER, trainer_address),
        ("alerts.yml", str(CONFIG / "alerts.yml")),
    ):
        assert name in config
        config = config.replace(name, there)
    if interval:
        config = re.sub(r"_(interval|timeout): \w+", rf"_\1: {interval}", config)
    file = folder / "prometheus.yml"
    file.write_text(config, encoding="utf-8")
    listen = f"{HOST}:{free_port()}"
    command = ["prometheus", f"--config.file={file}", f"--web.listen-address={listen}"]
    command += [f"--storage.tsdb.path={folder / 'prometheus'}", "--log.level=info"]
    with served(command, folder / "prometheus.log", {}, "Prometheus") as server:
        server.wait_for_line("Server is ready to receive web requests")
        yield Prometheus(f"http://{listen}")
