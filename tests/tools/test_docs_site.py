"""The site that `make docs` builds: whole, as the repository shows its pages, and without anything from elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from playwright.sync_api import Page

from tests.support.chromium import chromium, needs_chromium, new_tab
from tools.docs_site import CONFIG, PAGES, ROOT, SITE, build

FETCHED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "srcset")}
COUNTED = ("table", "tr", "td", "li", "pre", "h1", "h2", "h3", "h4", "img")
DOCS = sorted(path for path in (ROOT / "docs").rglob("*.md"))


class Elements(HTMLParser):
    """What a page of the site holds within its article: how many of each element, and its code; what it all fetches."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.fetched: list[str] = []
        self.code = ""
        self._in_article = self._in_code = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if (tag, name) in FETCHED]
        self._in_article = self._in_article or tag == "article"
        self.counts[tag] += self._in_article
        self._in_code = self._in_article and (self._in_code or tag == "code")

    def handle_endtag(self, tag: str) -> None:
        self._in_article = self._in_article and tag != "article"
        self._in_code = self._in_code and tag != "code"

    def handle_data(self, data: str) -> None:
        self.code += data if self._in_code else ""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("docs")
    assert build(folder) == 0
    return folder / SITE


@pytest.fixture
def tab() -> Iterator[Page]:
    """A tab of Chromium."""
    with chromium() as browser, new_tab(browser) as page:
        yield page


def test_the_site_leads_to_every_page_of_docs() -> None:
    """Each page of docs/ is in the site's contents; the records of decisions are in their own list."""
    contents = (ROOT / CONFIG).read_text(encoding="utf-8")
    named = set(re.findall(r"\S+\.md$", contents, re.MULTILINE))
    pages = {str(path.relative_to(ROOT)) for path in DOCS if not re.match(r"\d{4}-", path.name)}
    assert pages - named == set(), f"expected every page in the contents of {CONFIG}"


@pytest.mark.slow
def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    """Scripts, styles and pictures of every page are files of the site."""
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 100
    for page in pages:
        for link in Elements(page.read_text(encoding="utf-8")).fetched:
            assert "//" not in link, f"{page.name} fetches {link}"
            if page.name != "404.html":  # is served at any address, so it names its files from the root
                assert (page.parent / link.partition("?")[0].partition("#")[0]).exists(), f"{page.name}: {link}"
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//\S+", style.read_text(encoding="utf-8")) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_the_site_shows_what_the_repository_shows(site: Path, page: Path) -> None:
    """A page has the headings, tables, lists and code on the site that CommonMark makes of its text."""
    markdown = MarkdownIt("commonmark").enable("table")
    expected = Elements(f"<article>{markdown.render(page.read_text(encoding='utf-8'))}</article>")
    name = page.relative_to(ROOT).with_suffix(".html")
    name = name.with_name("index.html") if page.name == "README.md" else name
    shown = Elements((site / name).read_text(encoding="utf-8"))
    assert {tag: shown.counts[tag] for tag in COUNTED} == {tag: expected.counts[tag] for tag in COUNTED}
    assert shown.code.split() == expected.code.split()


@pytest.mark.slow
@needs_chromium
def test_pages_and_search_work_from_a_folder(site: Path, tab: Page) -> None:
    """Opened as a file, the site asks no other machine for anything, and its search finds a page."""
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((site / "docs" / "operations.html").as_uri())
    tab.locator("dialog[aria-label=Search]").wait_for(state="attached")  # from then on, the button works
    tab.get_by_role("button", name="Search").click()
    tab.get_by_role("combobox").fill("certificates")
    tab.get_by_text(re.compile(r"^\d+ results$")).wait_for()
    tab.locator("dialog").get_by_text("Security").first.wait_for(state="attached")
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_the_site_is_configured_for_folders() -> None:
    """The folders that the code names are those of the configuration."""
    text = re.sub(r"!!\S+", "", (ROOT / CONFIG).read_text(encoding="utf-8"))
    config = yaml.safe_load(text)
    assert (config["docs_dir"], config["site_dir"]) == (PAGES, SITE)
