"""Reads TF_CONFIG, in which whoever starts the workers says where each listens and which of them this process is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from trainer.data.records import shown
from trainer.workers.errors import ClusterError

VARIABLE = "TF_CONFIG"
CHIEF, WORKER = "chief", "worker"
EXAMPLE = '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}'
MAX_PORT = 65_535


@dataclass(frozen=True)
class Cluster:
    """The workers that train together.

    names: of all, by rank, such as "worker 1", as TF_CONFIG calls them; the first is the chief.
    addresses: HOST:PORT of each.  rank: of this process.
    """

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    rank: int

    def __len__(self) -> int:
        return len(self.names)

    def described(self, rank: int) -> str:
        """Return the name and the address of a worker, for a message."""
        return f"{self.names[rank]} at {self.addresses[rank]}"


def cluster_of(text: str) -> Cluster | None:
    """Return what TF_CONFIG says; None if it is empty or names one worker only. Raises ClusterError if it is wrong."""
    if not text.strip():
        return None
    try:
        config = json.loads(text)
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise _wrong("", EXAMPLE, text)
    jobs, task = config.get("cluster"), config.get("task")
    if not isinstance(jobs, dict) or not jobs:
        raise _wrong("cluster", '{"worker": ["host:port", …]}', jobs)
    for job in jobs:
        if job not in (CHIEF, WORKER):
            raise _wrong("cluster", f"no other jobs than {CHIEF} and {WORKER}", job)
    places = [
        (job, index, at) for job in (CHIEF, WORKER) for index, at in enumerate(_addresses(job, jobs.get(job, [])))
    ]
    addresses = tuple(address for _, _, address in places)
    repeated = next((address for address in addresses if addresses.count(address) > 1), None)
    if repeated is not None:
        raise _wrong("cluster", "an address of its own for each worker", repeated)
    rank = _rank([(job, index) for job, index, _ in places], task)
    return Cluster(tuple(f"{job} {index}" for job, index, _ in places), addresses, rank) if len(places) > 1 else None


def _addresses(job: str, addresses: Any) -> list[str]:
    """Return the addresses of a job. Raises ClusterError if one is not HOST:PORT."""
    field = f"cluster.{job}"
    if not isinstance(addresses, list) or (job == CHIEF and len(addresses) > 1):
        raise _wrong(field, "a list of host:port, for the chief at most one", addresses)
    for address in addresses:
        host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
        if not host or not (port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT):
            raise _wrong(field, f"host:port with a port from 1 to {MAX_PORT}", address)
    return addresses


def _rank(places: list[tuple[str, int]], task: Any) -> int:
    """Return the position of this process's task among the places. Raises ClusterError if it is not there."""
    if not isinstance(task, dict):
        raise _wrong("task", '{"type": "worker", "index": 0}', task)
    of_type = [index for job, index in places if job == task.get("type")]
    if not of_type:
        raise _wrong("task.type", f"one of {', '.join(sorted({job for job, _ in places}))}", task.get("type"))
    index = task.get("index")
    if type(index) is not int or index not in of_type:
        raise _wrong("task.index", f"a whole number from 0 to {of_type[-1]}", index)
    return places.index((task["type"], index))


def _wrong(field: str, expected: str, got: Any) -> ClusterError:
    text = got if isinstance(got, str) else json.dumps(got)
    return ClusterError(f"{VARIABLE}{': ' if field else ''}{field}: expected {expected}, got {shown(text)}")
