"""EVENTS_URL, right and wrong, and what is imported without it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from recommender_service.settings import Settings, SettingsError

EXPECTED = "EVENTS_URL: expected sqlite:////folder/events.db or postgresql://user:password@host/name, got "


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite:///events.db",
        "sqlite:////var/lib/events.db",
        "postgresql://host/name",
        "postgresql://me:p%40ss@host:5432/name?sslmode=require",
        "postgresql://[::1]:5432/name",
        "postgresql:///name?host=/run/postgresql",
    ],
)
def test_urls_of_stores_are_accepted(url: str) -> None:
    """SQLite needs a file, PostgreSQL a database; empty turns events off."""
    assert Settings.from_environment({"EVENTS_URL": url}).events_url == url


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "mysql://me:secret@host/name", "postgresql://me:secret@host", "secret"]
)
def test_other_urls_are_refused_without_showing_them(url: str) -> None:
    """The message says what was expected, and shows nothing of a URL, which may hold a password."""
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({"EVENTS_URL": url})
    assert str(error.value) == EXPECTED + "something else"


def test_without_a_store_nothing_of_it_is_imported() -> None:
    """A service without EVENTS_URL loads nothing that talks to a database."""
    code = "import recommender_service.server, sys; print([m for m in sys.modules if m.split('.')[0] in {names}])"
    names = {"sqlalchemy", "alembic", "psycopg"}
    run = subprocess.run([sys.executable, "-c", code.format(names=names)], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
