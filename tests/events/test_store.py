"""The event store, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect

from events import engine
from events.engine import open_engine
from events.errors import EventStoreError
from events.event import Event, Kind, number_of_key
from events.schema import METADATA
from events.store import DUPLICATE, EventStore
from tests.support.postgresql import PostgreSql, needs_postgresql

PATIENCE_S = 60
PREPARE = (
    "import sys; from events import engine; engine.BUSY_TIMEOUT_S = engine.CONNECT_TIMEOUT_S = int(sys.argv[2]); "
    "from events.store import EventStore; print(EventStore(sys.argv[1]).prepare())"
)


def event(event_id: str, user: int = 1, movie: int = 2, kind: Kind = Kind.WATCHED, rating: float = 0.0) -> Event:
    """An event of a user who is known by number."""
    return Event(event_id, user, "", movie, "", kind, rating, 1_600_000_000_000_000)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine another process or thread may keep its transaction open for seconds."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(engine, "CONNECT_TIMEOUT_S", PATIENCE_S)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'events.db'}"
    server: PostgreSql = request.getfixturevalue("postgresql_server")
    return server.new_database()


def test_a_new_file_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    """While another process writes to a new SQLite file, opening it waits."""
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE other (x)")
        end = threading.Timer(0.5, other.execute, ["COMMIT"])
        end.start()
        EventStore(f"sqlite:///{path}").prepare()
        end.join()


def test_events_are_read_in_the_order_of_their_numbers(url: str) -> None:
    """What was appended is read back, from any number to any other."""
    store = EventStore(url)
    store.prepare()
    first = store.append([event("a"), event("b", movie=3, kind=Kind.RATED, rating=0.7)])
    second = store.append([event("c", user=-(2**63), movie=2**62)])
    assert first + second == sorted({*first, *second})
    assert store.last_number() == second[0]
    rows = store.read(0, store.last_number()).tolist()
    assert rows == [
        (first[0], 1, 2, Kind.WATCHED, 0.0, 1_600_000_000_000_000),
        (first[1], 1, 3, Kind.RATED, 0.7, 1_600_000_000_000_000),
        (second[0], -(2**63), 2**62, Kind.WATCHED, 0.0, 1_600_000_000_000_000),
    ]
    assert store.read(first[0], first[1])["number"].tolist() == [first[1]]
    assert len(store.read(second[0], second[0])) == 0


def test_an_event_is_stored_once(url: str) -> None:
    """An event id of the same user is a duplicate, also in one list; another user may use the id."""
    store = EventStore(url)
    store.prepare()
    numbers = store.append([event("a"), event("a", movie=9), event("a", user=5)])
    assert [number != DUPLICATE for number in numbers] == [True, False, True]
    assert store.append([event("a", kind=Kind.HIDDEN)]) == [DUPLICATE]
    assert len(store.read(0, store.last_number())) == 2


def test_processes_that_start_together_migrate_once(url: str) -> None:
    """All of them open the store, whose tables are those that the code describes, and agree on its identity."""
    runs = [
        subprocess.Popen([sys.executable, "-c", PREPARE, url, str(PATIENCE_S)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    identities = {run.communicate(timeout=120)[0] for run in runs}
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert len(identities) == 1
    inspector = inspect(open_engine(url))
    for table in METADATA.sorted_tables:
        assert [column["name"] for column in inspector.get_columns(table.name)] == [c.name for c in table.columns]


def test_a_store_that_is_up_to_date_needs_no_alembic(tmp_path: Path) -> None:
    """Importing Alembic takes long, so a process that finds the newest tables does not import it."""
    url = f"sqlite:///{tmp_path / 'events.db'}"
    EventStore(url).prepare()
    code = f"{PREPARE}; print([name for name in sys.modules if name.partition('.')[0] == 'alembic'])"
    command = [sys.executable, "-c", code, url, str(PATIENCE_S)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout.splitlines()[1] == "[]"


def test_others_write_while_alembic_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is about to create the tables does not hold up those that write meanwhile."""
    path, imported = tmp_path / "events.db", []

    def write_meanwhile() -> None:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
            other.execute("CREATE TABLE other (x)")
        imported.append(True)

    monkeypatch.setattr("events.store.import_alembic", write_meanwhile)
    EventStore(f"sqlite:///{path}").prepare()
    assert imported == [True]


def test_no_reader_passes_an_event_that_is_not_committed(url: str) -> None:
    """While several writers append, a reader that follows the numbers misses none of the events."""
    writers, each = 4, 40
    stores = [EventStore(url) for _ in range(writers)]
    for store in stores:
        store.prepare()

    def write(writer: int) -> None:
        for i in range(each):
            stores[writer].append([event(f"{i}", user=writer), event(f"{i}-again", user=writer)])

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    reader, position, seen = EventStore(url), 0, []
    while any(thread.is_alive() for thread in threads) or position < reader.last_number():
        last = reader.last_number()
        seen += reader.read(position, last)["number"].tolist()
        position = last
    assert len(seen) == writers * each * 2
    assert seen == sorted(set(seen))


def test_forgetting_a_user_removes_events_and_leaves_a_note(url: str) -> None:
    """The user's events are gone, those of others stay, and the note has a number of its own."""
    store = EventStore(url)
    store.prepare()
    store.append([event("a"), event("b"), event("a", user=7)])
    before = store.last_number()
    assert store.forget(1) == 2
    assert store.read(0, store.last_number())["user"].tolist() == [7]
    assert store.forgotten(before, store.last_number()) == [(store.last_number(), 1)]
    assert store.forgotten(store.last_number(), store.last_number()) == []


def test_a_store_of_a_later_version_is_refused(url: str) -> None:
    """A program does not write into tables that it does not know."""
    store = EventStore(url)
    store.prepare()
    with open_engine(url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(EventStoreError, match="expected tables of revision 0001 or older, got 9999"):
        store.prepare()


def test_errors_hold_no_password_and_no_key(tmp_path: Path) -> None:
    """Neither a URL that is refused nor a statement that fails shows what must not be seen."""
    with pytest.raises(EventStoreError) as refused:
        EventStore("mysql://root:secret@host/name")
    store = EventStore(f"sqlite:///{tmp_path / 'events.db'}")
    with pytest.raises(EventStoreError) as failed:
        store.append([event("a")._replace(user_key="somebody@example")])
    assert "secret" not in str(refused.value)
    assert str(failed.value) == "no such table: event_store"


def test_keys_and_ids_never_share_a_number() -> None:
    """A key's number is negative and always the same."""
    assert number_of_key("B000001") == number_of_key("B000001") < 0
    assert number_of_key("7") != number_of_key("07")


def test_forget_on_the_command_line(tmp_path: Path) -> None:
    """`forget` removes the events of an id, or with --key of a key; a key where an id is expected is wrong usage."""
    url = f"sqlite:///{tmp_path / 'events.db'}"
    store = EventStore(url)
    store.prepare()
    store.append([event("a", user=418), event("b", user=number_of_key("somebody@example"))])

    def forget(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "events", "--url", url, "forget", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=100)

    assert forget("418").stdout.startswith("removed 1 events.")
    assert forget("--key", "somebody@example").stdout.startswith("removed 1 events.")
    assert forget("somebody@example").returncode == 2
    assert len(store.read(0, store.last_number())) == 0
