"""What the pages say, over the checkerboard: even users like even movies."""

from __future__ import annotations

from tests.support.answers import first_answer
from tests.support.pages import Page, get
from tests.support.releases import EVEN_USER, ODD_USER, UNKNOWN_MOVIE, UNKNOWN_USER, UNRATED_MOVIE


def test_the_first_page_offers_users(page_address: str) -> None:
    """It lists the users of the release who like something, each with what they would get first."""
    page = get(page_address, "/")
    assert page.listed == ["User 10", "User 11", "User 20", "User 21"]
    assert "Amélie, le fabuleux destin" in page.text
    assert "The release knows no likes of the users 500 to 523" in get(page_address, "/", {"first": 500}).text


def test_a_user_sees_movies_and_reasons(page_address: str) -> None:
    """Movies come best first with reasons, and beside them what the user liked and watched."""
    page = get(page_address, "/user", {"user": EVEN_USER})
    assert page.listed[:2] == ["Amélie, le fabuleux destin", "千と千尋の神隠し"]
    assert 'Because they liked Good, the Bad and the "Ugly", The' in page.text
    behind = page.text.partition("What they liked")[2]
    assert 'Good, the Bad and the "Ugly", The' in behind
    assert "2 liked, 3 watched" in behind
    assert "Movie 8 (1998)" not in behind  # the year stands beside the title
    assert "Movie 3 1993 watched" in behind


def test_the_history_of_a_user_is_listed(page_address: str) -> None:
    """All that is known of a user is a page of its own; of an unknown user, and behind the end, it says so."""
    page = get(page_address, "/history", {"user": EVEN_USER})
    assert page.text.index("Movie 8") < page.text.index("Movie 3")
    assert "2 liked, 3 watched" in page.text
    assert "Nothing is known of this user" in get(page_address, "/history", {"user": UNKNOWN_USER}).text
    assert get(page_address, "/history", {"user": EVEN_USER, "page": "x"}).status == 400


def test_an_unknown_user_is_told_so(page_address: str) -> None:
    """Popular movies are shown as such, and no likes are invented."""
    page = get(page_address, "/user", {"user": UNKNOWN_USER})
    assert f"knows nothing that user {UNKNOWN_USER} likes" in page.text
    assert "No likes are known" in page.text
    assert page.listed


def test_filters_narrow_a_list(page_address: str) -> None:
    """Genre and years hold for users, newcomers and neighbours; where nothing is left, the page says so."""
    filters: dict[str, object] = {"genre": "Animation", "from": 1990, "to": 2010}
    for path, parameters in (("/user", {"user": EVEN_USER}), ("/movie", {"movie": 2}), ("/newcomer", {"like": 2})):
        assert get(page_address, path, {**parameters, **filters}).listed == ["千と千尋の神隠し"]
    page = get(page_address, "/user", {"user": EVEN_USER, "genre": "Animation", "to": 1950})
    assert "No movie qualifies" in page.text


def test_a_movie_has_neighbours(page_address: str) -> None:
    """The nearest come first; of a movie that nobody liked the page says what was compared."""
    even = {"Amélie, le fabuleux destin", "千と千尋の神隠し", "Movie 8", "Movie 10", "Movie 12"}
    assert set(get(page_address, "/movie", {"movie": 2}).listed[:5]) == even
    page = get(page_address, "/movie", {"movie": UNRATED_MOVIE})
    assert "Nobody has liked this movie" in page.text


def test_a_newcomer_builds_a_list_in_the_address(page_address: str) -> None:
    """Without likes, popular movies are offered; with likes the answer follows, and is the same for the address."""
    assert "Popular movies to begin with" in get(page_address, "/newcomer").text
    one = get(page_address, "/newcomer", [("like", 1)])
    assert "For somebody who likes 1 movie" in one.text
    assert one.listed[0] == "Movie 3"
    assert "like=1&amp;like=3" in one.html
    two = _undegraded(page_address, [("like", 1), ("like", 3), ("q", "movie 5")])
    assert two.listed[0] == "Movie 5"
    assert "Because you liked" in two.text
    assert "like=1&amp;like=3&amp;like=5" in two.html
    assert _undegraded(page_address, [("like", 1), ("like", 3), ("q", "movie 5")]).text == two.text


def test_likes_without_effect_are_marked(page_address: str) -> None:
    """A like that the release does not know, or that nobody shares, stays in the list and is marked."""
    page = get(page_address, "/newcomer", [("like", 1), ("like", UNKNOWN_MOVIE), ("like", UNRATED_MOVIE)])
    assert page.listed[0] == "Movie 3"
    assert page.text.count("has no effect") == 2
    assert f"{UNKNOWN_MOVIE}, which this release does not have" in page.text


def test_search_finds_titles(page_address: str) -> None:
    """Titles are found without accents; where none is near, the page says so."""
    assert get(page_address, "/search", {"q": "amelie"}).listed[0] == "Amélie, le fabuleux destin"
    assert "No title is near “qqqqqqqq”" in get(page_address, "/search", {"q": "qqqqqqqq"}).text
    assert "Type a few letters" in get(page_address, "/search").text


def test_wrong_addresses_are_explained(page_address: str) -> None:
    """What cannot be asked is answered with a status, what was expected and what came."""
    for path, parameters, status, text in (
        ("/user", {"user": "abc"}, 400, "user: expected a whole number up to 9223372036854775807, got 'abc'"),
        ("/user", {"user": "9" * 19}, 400, "user: expected a whole number"),
        ("/user", {}, 400, "user: expected an id, got none"),
        ("/user", {"user": 1, "from": 2000, "to": 1990}, 400, "to: expected 2000 or later, got 1990"),
        ("/user", {"user": 1, "genre": "Nonsense"}, 400, "got 'Nonsense'"),
        ("/newcomer", [("like", n) for n in range(101)], 400, "like: expected at most 100 movies, got 101"),
        ("/movie", {"movie": UNKNOWN_MOVIE}, 404, f"movie {UNKNOWN_MOVIE} is not in release"),
        ("/nowhere", {}, 404, "Not Found"),
    ):
        page = get(page_address, path, parameters)  # type: ignore[arg-type] # the tuples differ
        assert (page.status, text in page.text) == (status, True), page.text


def test_everything_is_escaped(page_address: str) -> None:
    """What a visitor types comes back as text, in the page and in the addresses of its links."""
    attack = "\"><script>alert(1)</script>'"
    questions: list[tuple[str, dict[str, object]]] = [
        ("/search", {"q": attack}),
        ("/newcomer", {"q": attack, "like": 1}),
        ("/user", {"user": attack}),
        ("/user", {"user": 1, "genre": attack}),
    ]
    for path, parameters in questions:
        page = get(page_address, path, parameters)
        assert "<script>" not in page.html
        assert "&lt;script&gt;" in page.html


def test_each_answer_limits_the_browser(page_address: str) -> None:
    """Pages, errors and files load nothing from elsewhere, are in no frame, and name no user to other sites."""
    for path in ("/", "/status", "/nowhere", "/static/style.css"):
        headers = get(page_address, path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
    assert get(page_address, "/").headers["Cache-Control"] == "no-store"


def test_a_name_of_a_foreign_site_is_refused(page_address: str) -> None:
    """A site that gives its own name to this machine cannot read the pages."""
    assert get(page_address, "/", Host="evil.example").status == 400


def test_pages_say_how_long_they_took(page_address: str) -> None:
    """Each page has the server's milliseconds in `Server-Timing`, which browsers show."""
    for path in ("/", f"/user?user={ODD_USER}", "/newcomer?like=1&like=3", "/movie?movie=2", "/status"):
        timing = get(page_address, path.partition("?")[0], _query(path)).headers["Server-Timing"]
        assert float(timing.partition("dur=")[2]) > 0


def _query(path: str) -> list[tuple[str, object]]:
    pairs = [pair.split("=") for pair in path.partition("?")[2].split("&") if pair]
    return [(name, value) for name, value in pairs]


def _undegraded(address: str, likes: list[tuple[str, object]]) -> Page:
    """A newcomer's page. On a busy machine the model server may not answer for a moment."""
    return first_answer(
        lambda: get(address, "/newcomer", likes), lambda page: "Degraded." not in page.text, "the answer is personal"
    )
