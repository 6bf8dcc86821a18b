"""Events are exported to Parquet."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from events import export
from events.event import Event, Kind, number_of_key
from events.store import EventStore
from tests.support.postgresql import PostgreSql, needs_postgresql

NOON_US = 1_700_000_000_000_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
def test_the_file_holds_every_event(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Ids, keys, ratings and times are there, also of more events than are written at once, and no forgotten user."""
    url = f"sqlite:///{tmp_path / 'events.db'}"
    if kind == "postgresql":
        server: PostgreSql = request.getfixturevalue("postgresql_server")
        url = server.new_database()
    store = EventStore(url)
    store.prepare()
    zoe = Event("b", number_of_key("zoe"), "zoe", number_of_key("M1"), "M1", Kind.RATED, 4.5, NOON_US)
    store.append([Event("a", 418, "", 6, "", Kind.HIDDEN, 0.0, NOON_US), zoe])
    store.append([Event("gone", 7, "", 6, "", Kind.WATCHED, 0.0, NOON_US)])
    store.forget(7)
    store.append([Event(f"{n}", 1, "", n, "", Kind.WATCHED, 0.0, NOON_US + n) for n in range(export.ROWS_AT_ONCE)])
    path = tmp_path / "events.parquet"
    command = [sys.executable, "-m", "events", "export", str(path)]
    run = subprocess.run(command, env={**os.environ, "EVENTS_URL": url}, capture_output=True, text=True, timeout=100)
    assert (run.returncode, run.stdout) == (0, f"wrote {export.ROWS_AT_ONCE + 2:,} events to {path}\n"), run.stderr
    rows = pq.read_table(path).slice(0, 3).to_pylist()
    noon = datetime.fromtimestamp(NOON_US // 1_000_000, UTC)
    assert [tuple(row.values()) for row in rows] == [
        (1, "a", 418, None, 6, None, "hidden", None, noon),
        (2, "b", None, "zoe", None, "M1", "rated", 4.5, noon),
        (5, "0", 1, None, 0, None, "watched", None, noon),
    ]
    assert pq.read_metadata(path).num_rows == export.ROWS_AT_ONCE + 2
    assert not list(tmp_path.glob(".*unfinished"))


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """The export ends with one line and status 1."""
    path = tmp_path / "missing" / "events.parquet"
    command = [sys.executable, "-m", "events", "--url", f"sqlite:///{tmp_path / 'e.db'}", "export", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert run.returncode == 1
    assert run.stderr.startswith("error: ")
    assert len(run.stderr.splitlines()) == 1
