"""TF_CONFIG: what it may say, and the clear line for what it may not."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from tools.servers import free_port
from trainer.__main__ import main
from trainer.workers.cluster import Cluster, cluster_of
from trainer.workers.errors import WorkerLost
from trainer.workers.rendezvous import await_workers

TWO = {"worker": ["a:1", "b:2"]}
FIRST = {"type": "worker", "index": 0}


def config(cluster: Any, task: Any) -> str:
    return json.dumps({"cluster": cluster, "task": task, "environment": "cloud"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{'cluster'", ': expected {"cluster": {"worker": ["host:port", …]}, '),
        ("[1]", "got '[1]'"),
        (config([], FIRST), 'cluster: expected {"worker": ["host:port", …]}, got \'[]\''),
        (config({**TWO, "ps": ["c:3"]}, FIRST), "cluster: expected no other jobs than chief and worker, got 'ps'"),
        (
            config({"worker": "a:1"}, FIRST),
            "cluster.worker: expected a list of host:port, for the chief at most one, got",
        ),
        (
            config({"chief": ["a:1", "b:2"]}, FIRST),
            "cluster.chief: expected a list of host:port, for the chief at most",
        ),
        (
            config({"worker": ["a:1", "b"]}, FIRST),
            "cluster.worker: expected host:port with a port from 1 to 65535, got 'b'",
        ),
        (config({"worker": ["a:1", "b:70000"]}, FIRST), "got 'b:70000'"),
        (config({"worker": ["a:1", 7]}, FIRST), "got '7'"),
        (
            config({"worker": ["a:1", "a:1"]}, FIRST),
            "cluster: expected an address of its own for each worker, got 'a:1'",
        ),
        (config(TWO, None), 'task: expected {"type": "worker", "index": 0}, got \'null\''),
        (config(TWO, {"type": "chief", "index": 0}), "task.type: expected one of worker, got 'chief'"),
        (config(TWO, {"type": "worker", "index": 2}), "task.index: expected a whole number from 0 to 1, got '2'"),
        (config(TWO, {"type": "worker", "index": True}), "task.index: expected a whole number from 0 to 1, got 'true'"),
        (config({"worker": ["x" * 99]}, FIRST), f"got '{'x' * 39}…'"),
    ],
)
def test_a_wrong_tf_config_is_refused_in_a_line(
    text: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The process ends with status 1, and names the variable, the field, what was expected and what came."""
    monkeypatch.setenv("TF_CONFIG", text)
    assert main(["train"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "TF_CONFIG" in line
    assert expected in line


def test_the_chief_is_the_first_of_the_workers() -> None:
    """A cluster with a job for the chief has one worker more, and ranks begin with it."""
    cluster = cluster_of(config({"worker": ["a:1", "b:2"], "chief": ["c:3"]}, {"type": "worker", "index": 1}))
    assert cluster == Cluster(("chief 0", "worker 0", "worker 1"), ("c:3", "a:1", "b:2"), 2)


@pytest.mark.parametrize("text", ["", " ", config({"worker": ["a:1"]}, FIRST)], ids=["unset", "empty", "one worker"])
def test_one_worker_trains_alone(text: str) -> None:
    """Without TF_CONFIG, and with a single worker in it, nothing is connected."""
    assert cluster_of(text) is None


def test_a_worker_that_never_starts_is_named() -> None:
    """The wait is bounded, and its end names the worker and the address that gave no answer."""
    with socket.create_server(("127.0.0.1", 0)) as there, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # nobody else gets the port, and it does not listen
        addresses = [f"127.0.0.1:{bound.getsockname()[1]}" for bound in (there, silent)]
        addresses.append(f"127.0.0.1:{free_port()}")
        cluster = Cluster(("worker 0", "worker 1", "worker 2"), tuple(addresses), 2)
        with pytest.raises(WorkerLost) as lost:
            await_workers(cluster, 0.5)
    expected = f"expected every worker to start within 0.5 s, got no answer of worker 1 at {addresses[1]}"
    assert str(lost.value) == expected


def test_a_taken_port_is_named() -> None:
    """A worker whose port another program has says so, and does not wait."""
    with socket.create_server(("", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(WorkerLost, match=f"worker 1 at {address}: cannot listen there: Address already in use"):
            await_workers(Cluster(("worker 0", "worker 1"), ("127.0.0.1:1", address), 1), 60)


def test_events_and_many_workers_exclude_each_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An event store is refused where TF_CONFIG names several workers, before any of them is awaited."""
    monkeypatch.setenv("TF_CONFIG", config({"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, FIRST))
    assert main(["train", "--events", "sqlite:///none.db"]) == 1
    assert "--events or EVENTS_URL: expected none with several workers" in capsys.readouterr().err
