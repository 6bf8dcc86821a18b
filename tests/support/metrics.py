"""What a recommender with METRICS_ADDRESS says of itself."""

from __future__ import annotations

import urllib.request

from tools.processes import Server, wait_for


def metric(server: Server, name: str) -> float:
    """The sum of a metric over its labels, of the worker that listened first."""
    with urllib.request.urlopen(f"http://{server.events('listening')[0]['metrics']}/metrics", timeout=30) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def wait_for_calls_in_progress(server: Server, count: int) -> None:
    """Return once so many calls have reached the service and are not answered."""
    wait_for(lambda: metric(server, "recommender_calls_in_progress") == count, f"{count} calls are in progress")
