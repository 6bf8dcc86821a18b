"""The pages in Chromium: by keyboard, with and without scripts, light and dark, on a desk and on a phone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.support.chromium import chromium, needs_chromium, new_tab
from tests.support.releases import EVEN_USER, UNKNOWN_MOVIE, UNKNOWN_USER

ROOT = Path(__file__).parents[2]
AXE = next(
    (
        path
        for folder in (*os.environ.get("NODE_PATH", "").split(os.pathsep), str(ROOT / ".tools" / "node_modules"))
        if folder and (path := Path(folder) / "axe-core" / "axe.min.js").is_file()
    ),
    None,
)
PATHS = [
    "/",
    f"/user?user={EVEN_USER}",
    f"/user?user={UNKNOWN_USER}&genre=Western&from=2015&to=2015",
    "/newcomer",
    "/newcomer?like=1&like=3&q=movie",
    "/movie?movie=2",
    f"/movie?movie={UNKNOWN_MOVIE}",
    "/search?q=movie",
    "/status",
    "/release",
    f"/history?user={EVEN_USER}",
    f"/history?user={UNKNOWN_USER}",
]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab that fails its test if the page breaks a rule of its policy or a script fails."""
    problems: list[str] = []
    with new_tab(browser, viewport=DESK) as page:
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        yield page
    assert [problem for problem in problems if "status of 404" not in problem] == []


def films(tab: Page) -> Locator:
    """The titles of the first list of movies; `expect` waits until the page shows them."""
    return tab.locator(".films h3 a")


def test_a_user_is_found_by_keyboard_alone(tab: Page, page_address: str) -> None:
    """The first key press offers to skip to the content; from there a user, a movie and its neighbours are reached."""
    tab.goto(page_address)
    tab.keyboard.press("Tab")
    expect(tab.locator(":focus")).to_have_text("Skip to the content")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/#main")
    tab.keyboard.press("Tab")
    expect(tab.get_by_label("User id")).to_be_focused()
    tab.keyboard.type(str(EVEN_USER))
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/user?user=10")
    expect(films(tab).first).to_have_text("Amélie, le fabuleux destin")
    first = tab.locator(".films h3 a").first
    first.focus()
    assert first.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/movie?movie=4")
    assert tab.locator("h1").inner_text() == "Amélie, le fabuleux destin"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_newcomer_watches_the_answer_follow(browser: Browser, page_address: str, scripts: bool) -> None:
    """Likes are found, added, filtered and removed by links and forms, without scripts too; back goes back."""
    with new_tab(browser, java_script_enabled=scripts) as tab:
        tab.goto(f"{page_address}/newcomer")
        tab.get_by_label("Find a movie to add").fill("movie 1")
        tab.get_by_role("button", name="Find").click()
        tab.get_by_role("link", name="Add Movie 1 (1991)").click()
        tab.wait_for_url("**/newcomer?like=1")
        expect(films(tab).first).to_have_text("Movie 3")
        tab.get_by_role("link", name="I like it: Movie 3 (1993)").click()
        expect(films(tab).first).to_have_text("Movie 5")
        tab.get_by_label("Genre").select_option("Animation")
        tab.get_by_role("button", name="Filter").click()
        expect(films(tab)).to_have_text(["千と千尋の神隠し"])
        tab.get_by_role("link", name="Remove Movie 1 (1991)").click()
        tab.wait_for_url("**/newcomer?like=3&genre=Animation")
        tab.go_back()
        tab.wait_for_url(lambda url: "like=1&like=3" in url)


def test_hiding_and_undoing_by_button(tab: Page, page_address: str) -> None:
    """Hide takes the movie out of the list and says so; Undo brings it back."""
    tab.goto(f"{page_address}/user?user=20002")
    hidden = films(tab).first.inner_text()
    tab.get_by_role("button", name=f"Hide: {hidden}", exact=True).click()
    expect(tab.get_by_role("status").filter(has_text=f"{hidden} is hidden.")).to_be_visible()
    expect(films(tab).get_by_text(hidden, exact=True)).to_have_count(0)
    tab.get_by_role("button", name="Undo").click()
    expect(films(tab).get_by_text(hidden, exact=True)).to_have_count(1)


def test_the_status_follows_until_it_is_paused(tab: Page, page_address: str) -> None:
    """The uptime moves by itself, and a table stays where it was scrolled to; after Pause it stands still.

    So it does when an answer comes that was asked for before the pause.
    """
    asked: list[Route] = []
    tab.set_viewport_size(PHONE)  # type: ignore[arg-type] # a dict of the right shape
    tab.goto(f"{page_address}/status")
    tab.evaluate("document.querySelector('.wide').scrollLeft = 60")
    uptime = tab.locator("section[aria-labelledby=service] dd")
    before = uptime.inner_text()
    tab.wait_for_function(
        "before => document.querySelector('section[aria-labelledby=service] dd').textContent !== before", arg=before
    )
    assert tab.evaluate("document.querySelector('.wide').scrollLeft") == 60
    tab.route("**/status/live", lambda route: asked.append(route))
    with tab.expect_request("**/status/live"):
        pass
    tab.get_by_role("button", name="Pause").click()
    paused = uptime.inner_text()
    asked[0].continue_()
    tab.wait_for_timeout(3500)
    assert uptime.inner_text() == paused
    assert tab.get_by_role("button", name="Follow again").is_visible()


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_wider_than_a_phone(browser: Browser, page_address: str, path: str) -> None:
    """At 390 px no page scrolls sideways, and every button and field is large enough for a finger."""
    with new_tab(browser, viewport=PHONE) as tab:
        tab.goto(page_address + path)
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        heights = tab.evaluate("[...document.querySelectorAll('button, .button, select')].map(e => e.offsetHeight)")
        assert min(heights, default=24) >= 24  # WCAG 2.2, target size


@pytest.mark.skipif(AXE is None, reason="axe-core is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing(browser: Browser, page_address: str, path: str, scheme: str) -> None:
    """axe-core has no finding on any page, light or dark, in the rules of WCAG 2.2 AA and its best practices."""
    assert AXE is not None
    with new_tab(browser, color_scheme=scheme, bypass_csp=True) as tab:
        tab.goto(page_address + path)
        if path == "/status":  # or else it changes under axe's hands
            tab.get_by_role("button", name="Pause").dispatch_event("click")
        tab.evaluate(AXE.read_text(encoding="utf-8"))
        findings = tab.evaluate("async () => (await axe.run()).violations.map(v => [v.id, v.impact, v.nodes[0].html])")
        assert findings == []
