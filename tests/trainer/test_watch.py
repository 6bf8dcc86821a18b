"""`trainer watch` trains when there is reason to; whatever fails changes nothing and raises a metric."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from events.event import Event, Kind
from events.store import EventStore
from tests.support.learning import BAD, looks, metric, trained, training, watching, write_tastes
from tests.support.postgresql import needs_postgresql, postgresql
from tools.processes import wait_for
from trainer.release.catalogue import served_versions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

RUN_S = 300  # for a training run, of which TensorFlow's import alone takes a minute on a busy machine
HOLD_LOCK = (
    "from trainer.release.locks import sole_trainer; from pathlib import Path; import sys, time\n"
    "with sole_trainer(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(3000)\n"
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    write_tastes(tmp_path / "data")
    return f"sqlite:///{tmp_path / 'events.db'}"


def add_events(url: str, count: int, kind: Kind = Kind.WATCHED) -> None:
    """Record events of user 1 with as many movies."""
    store = EventStore(url)
    store.prepare()
    now_us = time.time_ns() // 1000
    first = store.last_number()
    store.append([Event(f"{first + n}", 1, "", n, "", kind, 0.0, now_us) for n in range(count)])


@pytest.mark.long
def test_it_trains_prunes_and_stops(tmp_path: Path, url: str) -> None:
    """It trains at first, for enough events, and for a forgotten user; it keeps two releases, and heeds SIGTERM."""
    with watching(tmp_path, url, "--min-new-events=3") as (trainer, address):
        wait_for(lambda: len(served_versions(tmp_path)) == 1, "a first release", RUN_S)
        add_events(url, 2)
        wait_for(lambda: metric(address, "trainer_new_events") == 2, "the events are seen")
        time.sleep(3)
        assert len(served_versions(tmp_path)) == 1
        add_events(url, 1)
        wait_for(lambda: looks(address, "published") == 2, "a release with the events", RUN_S)
        (_, second) = served_versions(tmp_path)
        EventStore(url).forget(1)
        wait_for(lambda: looks(address, "published") == 3, "a release without the user", RUN_S)
        kept = served_versions(tmp_path)
        assert len(kept) == 2
        assert kept[0] == second
        wait_for(lambda: metric(address, "trainer_newest_release") == kept[1], "the metric names the newest release")
        assert metric(address, "trainer_failures_in_a_row") == 0
        add_events(url, 3)
        trainer.wait_for_line("events: 3 up to number 7")  # a run has read them, and is to train
        assert trainer.stop() == 0
    assert served_versions(tmp_path) == kept
    with training(tmp_path, url, flags=("--min-new-events=4",)) as job:
        assert job.process.wait(RUN_S) == 0
        assert "3 new events, 0 forgotten users since release" in job.text()
    assert served_versions(tmp_path) == kept


@pytest.mark.long
def test_a_worse_run_publishes_nothing(tmp_path: Path, url: str) -> None:
    """The release stays, the log names the figures, and the metric counts up."""
    release = trained(tmp_path, url)
    add_events(url, 5)
    with watching(tmp_path, url, "--min-new-events=5", model=BAD) as (trainer, address):
        wait_for(lambda: looks(address, "failed") > 0, "a run failed", RUN_S)
        wait_for(lambda: metric(address, "trainer_failures_in_a_row") > 0, "the failure is counted")
        assert metric(address, "trainer_new_events") == 5
        assert f"release {release} reached" in trainer.text()
        assert f"the training run ended with status 1; release {release} stays" in trainer.text()
    assert served_versions(tmp_path) == [release]


@needs_postgresql
@pytest.mark.long
def test_a_store_that_is_gone(tmp_path: Path) -> None:
    """A trainer that has read the store publishes although it is gone; a watching one says so, and goes on when it is
    back. The password is never shown."""
    write_tastes(tmp_path / "data")
    with postgresql() as server, ExitStack() as running:
        running.enter_context(server.running())
        url = server.new_database().replace("postgres@", "postgres:secret@")
        add_events(url, 5)
        with training(tmp_path, url) as trainer:
            trainer.wait_for_line("events: 5 up to number 5")
            running.close()
            assert trainer.process.wait(RUN_S) == 0, trainer.text()
        (release,) = served_versions(tmp_path)
        with watching(tmp_path, url, "--min-new-events=5") as (trainer, address):
            wait_for(lambda: looks(address, "failed") >= 2, "the store is missed")
            with server.running():
                add_events(url, 5)
                wait_for(lambda: looks(address, "published") == 1, "a release with the events", RUN_S)
                wait_for(lambda: metric(address, "trainer_failures_in_a_row") == 0, "the failures are over")
            assert "secret" not in trainer.text()
    assert served_versions(tmp_path)[0] == release


def test_one_trainer_at_a_time(tmp_path: Path, url: str) -> None:
    """A second trainer does nothing and ends with status 3; a lock does not outlive a trainer that is killed."""
    with subprocess.Popen([sys.executable, "-c", HOLD_LOCK, str(tmp_path)], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with training(tmp_path, url) as second:
            assert second.process.wait(RUN_S) == 3
            assert f"another trainer is training for {tmp_path}" in second.text()
        with watching(tmp_path, url) as (_, address):
            wait_for(lambda: looks(address, "nothing") > 0, "it has looked")
            assert served_versions(tmp_path) == []
            first.kill()
            wait_for(lambda: looks(address, "published") == 1, "a release", RUN_S)
    assert len(served_versions(tmp_path)) == 1
