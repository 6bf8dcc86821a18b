"""Versions come and go under the stand-in as under TensorFlow Serving: no call fails in a change."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from pathlib import Path

import grpc
import pytest

from tests.model_server.folders import State, publish, save_versions, serving
from tests.support.errors import failure_of
from tests.support.processes import served

KEEP_TWO = "model_version_policy { latest { num_versions: 2 } }"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("versions")
    save_versions(folder)
    return folder


@pytest.mark.parametrize(("policy", "pinned"), [("", None), (KEEP_TWO, 1)], ids=["unpinned", "pinned, two kept"])
def test_a_new_version_arrives_without_a_failed_call(
    versions: Path, tmp_path: Path, policy: str, pinned: int | None
) -> None:
    base = tmp_path / "lookup"
    publish(versions, base, 1)
    with serving(base, policy=policy) as (_, client):
        answers: list[int] = []
        failures: list[Exception] = []
        stop = threading.Event()

        def call() -> None:
            while not stop.is_set():
                try:
                    answers.append(client.predict(pinned))
                except (grpc.RpcError, AssertionError) as failure:
                    failures.append(failure)

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        publish(versions, base, 2)
        client.wait_for(2, State.AVAILABLE)
        if pinned is None:
            client.wait_for(1, State.END)
        stop.set()
        for caller in callers:
            caller.join()
        assert failures == []
        assert set(answers) == ({1, 2} if pinned is None else {pinned})
        assert client.predict() == 2
        if pinned is None:
            gone = failure_of(lambda: client.predict(version=1))
            assert gone.message == "Servable not found for request: Specific(lookup, 1)"


def test_only_the_newest_two_are_kept_under_num_versions_2(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    for version in (1, 2):
        publish(versions, base, version)
    with serving(base, policy=KEEP_TWO) as (_, client):
        assert (client.predict(), client.predict(version=1), client.predict(version=2)) == (2, 1, 2)
        publish(versions, base, 3)
        client.wait_for(1, State.END)
        client.wait_for(3, State.AVAILABLE)  # while 2 is available, 1 may go before 3 has come
        assert (client.predict(), client.predict(version=2)) == (3, 2)


def test_a_deleted_version_goes_but_a_base_path_that_vanishes_unloads_nothing(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    publish(versions, base, 1)
    publish(versions, base, 2)
    with serving(base) as (server, client):
        base.rename(tmp_path / "elsewhere")
        server.wait_for_line("file system access error")
        assert client.predict() == 2
        (tmp_path / "elsewhere").rename(base)
        shutil.rmtree(base / "2")
        client.wait_for(2, State.END)
        assert client.predict() == 1


def test_only_the_specified_versions_are_served_whatever_else_lies_there(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    for version in (1, 2, 3):
        publish(versions, base, version)
    (base / "3").rename(base / "0003")
    (base / "temporary").mkdir()
    (base / "4").write_text("not a folder")
    with serving(base, policy="model_version_policy { specific { versions: 1 versions: 3 } }") as (_, client):
        assert sorted(client.statuses()) == [1, 3]
        assert client.predict() == 3


def test_the_port_opens_only_after_the_first_version_is_loaded(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    command = [sys.executable, "-m", "serving", "--port=0", "--model_name=lookup", f"--model_base_path={base}"]
    with served(command, tmp_path / "log", {}) as server:
        server.wait_for_line("file system access error")
        assert "Running gRPC ModelServer" not in server.text()
        publish(versions, base, 1)
        server.wait_for_line("Running gRPC ModelServer")
        assert server.stop(signal.SIGTERM) == 0
