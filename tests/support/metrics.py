"""Reads what a server tells Prometheus."""

from __future__ import annotations

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tools.processes import Server, wait_for


class Metrics:
    """One answer to GET /metrics."""

    def __init__(self, address: str) -> None:
        """address: host:port."""
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as response:
            self.text = response.read().decode()
        families = text_string_to_metric_families(self.text)
        self._samples = [sample for family in families for sample in family.samples]

    def values(self, name: str, **labels: str) -> list[float]:
        """The values of all series of that name that have these labels, and perhaps others."""
        return [s.value for s in self._samples if s.name == name and labels.items() <= s.labels.items()]

    def sum(self, name: str, **labels: str) -> float:
        """The sum of these values, 0 if there is none."""
        return sum(self.values(name, **labels))


def metric(server: Server, name: str) -> float:
    """The sum of a metric over its labels, and over the workers if there are several."""
    (event,) = server.events("supervising") or server.events("listening")
    return Metrics(str(event["metrics"])).sum(name)


def wait_for_calls_in_progress(server: Server, count: int) -> None:
    """Return once so many calls have reached the service and are not answered."""
    wait_for(lambda: metric(server, "recommender_calls_in_progress") == count, f"{count} calls are in progress")
