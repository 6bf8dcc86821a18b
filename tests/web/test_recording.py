"""Hiding and watching movies from the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import get, post
from tests.support.releases import EVEN_USER, ODD_USER
from tools.servers import page

HIDE = {"user": 20_001, "kind": "hidden"}


@pytest.fixture
def without_events(recommender_address: str, tmp_path: Path) -> Iterator[str]:
    """The address of a page over a recommender that records no events."""
    with page(recommender_address, tmp_path / "page.log") as (_, address):
        yield address


def test_a_hidden_movie_is_gone_until_it_is_undone(page_address: str) -> None:
    """The form leads back to the user, whose list lacks the movie; undoing brings it back."""
    before = get(page_address, "/user", {"user": ODD_USER}).listed
    for kind, listed in (("hidden", False), ("removed", True), ("watched", False), ("removed", True)):
        done = post(page_address, "/events", {"user": ODD_USER, "movie": 3, "kind": kind, "n": 50})
        assert done.status == 303
        assert done.headers["Location"] == f"/user?user={ODD_USER}&n=50&done={kind}&movie=3"
        after = get(page_address, "/user", {"user": ODD_USER, "done": kind, "movie": 3})
        assert "Movie 3" in after.text
        assert ("Movie 3" in after.listed) == listed
        assert ("Undo" in after.text) == (not listed)
        assert ("Take back: Movie 3" in get(page_address, "/history", {"user": ODD_USER}).html) == (not listed)
    assert before[0] == "Movie 3"


def test_other_sites_cannot_record(page_address: str) -> None:
    """A form that another site sends is refused, by either of the two things a browser tells."""
    form = {"user": EVEN_USER, "movie": 4, "kind": "hidden"}
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert post(page_address, "/events", form, **headers).status == 403
    assert get(page_address, "/events").status == 405
    assert get(page_address, "/user", {"user": EVEN_USER}).listed[0] == "Amélie, le fabuleux destin"


def test_wrong_forms_are_explained(page_address: str) -> None:
    """A form without a movie, of an unknown kind, or too large records nothing and says why."""
    assert "movie: expected an id, got none" in post(page_address, "/events", HIDE).text
    unknown = post(page_address, "/events", {**HIDE, "movie": 1, "kind": "eaten"})
    assert "kind: expected one of hidden, watched, removed; got 'eaten'" in unknown.text
    assert post(page_address, "/events", {**HIDE, "movie": "1" * 9000}).status == 413


def test_without_events_there_are_no_buttons(page_address: str, without_events: str) -> None:
    """Where the service records no events the page offers none, and a form gets an error that says so."""
    assert 'value="hidden"' in get(page_address, "/user", {"user": EVEN_USER}).html
    assert 'value="hidden"' not in get(without_events, "/user", {"user": EVEN_USER}).html
    refused = post(without_events, "/events", {"user": EVEN_USER, "movie": 4, "kind": "hidden"})
    assert (refused.status, "That is turned off" in refused.text) == (409, True)
    assert "no event store is set" in get(without_events, "/status").text
