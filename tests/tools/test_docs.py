"""The pages in Markdown agree with the repository: links, settings, make targets, test names, the README."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin

from recommender_service.settings import Settings
from tests.support.listings import listings

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
README_MAX_WORDS = 1200  # what somebody reads who has an hour to decide

# The plugin's slugs follow GitHub's rule, also for headings that occur twice.
MARKDOWN = MarkdownIt("commonmark").enable("table").use(anchors_plugin, max_level=6)


def _repository_files() -> list[Path]:
    """Files that git tracks, and new ones that it does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in names.split("\0") if name and (path := ROOT / name).exists()]


FILES = _repository_files()
FOLDERS = {folder for path in FILES for folder in path.parents if folder.is_relative_to(ROOT)}
PAGES = [path for path in FILES if path.suffix == ".md"]


def _tokens(page: Path) -> Iterator[Token]:
    """All tokens of a page in order, inline ones after the block that holds them."""
    for block in MARKDOWN.parse(page.read_text(encoding="utf-8")):
        yield block
        yield from block.children or ()


def _dead_links(page: Path) -> list[str]:
    """The page's relative links that lead to no file of the repository, or to no heading of a page."""
    links = [str(token.attrs.get("href") or token.attrs.get("src") or "") for token in _tokens(page)]
    return [link for link in links if link and not _leads_somewhere(page, link)]


def _leads_somewhere(page: Path, link: str) -> bool:
    url = urlsplit(link)
    if url.scheme or url.netloc:
        return True  # another site is not asked
    target = (page.parent / unquote(url.path)).resolve() if url.path else page
    if not url.fragment:
        return target in FILES or target in FOLDERS
    return (target == page or target in FILES) and target.suffix == ".md" and url.fragment in _anchors(target)


def _anchors(page: Path) -> set[str]:
    return {str(token.attrs["id"]) for token in _tokens(page) if token.type == "heading_open"}


def _tables(page: Path) -> list[list[list[Token]]]:
    """Return the tables of a page: each a list of rows, the header first, and each row a list of inline tokens."""
    tables: list[list[list[Token]]] = []
    in_table = False
    for token in _tokens(page):
        if token.type in ("table_open", "table_close"):
            in_table = token.type == "table_open"
            if in_table:
                tables.append([])
        elif in_table and token.type == "tr_open":
            tables[-1].append([])
        elif in_table and token.type == "inline":
            tables[-1][-1].append(token)
    return tables


def _unknown_tests(page: Path) -> list[str]:
    """Tests that a table's row names, but that the file linked before them in that row does not hold."""
    unknown = []
    for row in (row for table in _tables(page) for row in table):
        known: set[str] = set()
        for token in (token for cell in row for token in cell.children or ()):
            if token.type == "link_open" and str(token.attrs["href"]).endswith(".py"):
                tree = ast.parse((page.parent / str(token.attrs["href"])).read_text(encoding="utf-8"))
                known = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            elif token.type == "code_inline" and re.fullmatch(r"test_\w+", token.content):
                unknown += [token.content] if token.content not in known else []
    return unknown


def _make_targets(page: Path) -> set[str]:
    """The targets that the page's code names; "make" in prose is a word."""
    code = (token.content for token in _tokens(page) if token.type in ("code_inline", "code_block", "fence"))
    return {target for text in code for target in re.findall(r"\bmake ([a-z][a-z-]*)", text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """Relative links and anchors resolve, in every page of the repository."""
    assert _dead_links(page) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    """The check of links reports what is missing, and only that."""
    page = tmp_path / "page.md"
    page.write_text(
        "# Its `k`: 10\n\n# Twice\n\n# Twice\n\n[a](#its-k-10) [b](#twice-1) [c](#twice-2) [d](no.md) [e](/)\n"
    )
    assert _dead_links(page) == ["#twice-2", "no.md", "/"]


def test_the_table_of_settings_matches_the_code() -> None:
    """docs/settings.md lists every variable of the service, no other, each with its default."""
    (table,) = [table for table in _tables(ROOT / "docs" / "settings.md") if table[0][0].content == "variable"]
    documented = {row[0].content.strip("`"): row[1].content.strip("`") for row in table[1:]}
    assert sorted(documented) == sorted(field.name.upper() for field in fields(Settings))
    assert Settings.from_environment(documented) == Settings()


def test_every_make_target_that_is_named_exists() -> None:
    """Pages name only targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    named = {page: _make_targets(page) for page in PAGES}
    assert {"demo", "test"} <= named[README]
    assert {page: unknown for page, names in named.items() if (unknown := names - targets)} == {}


def test_every_test_that_is_named_exists() -> None:
    """docs/failures.md names only tests that the file linked beside them holds."""
    assert _unknown_tests(ROOT / "docs" / "failures.md") == []


def test_unknown_tests_are_found(tmp_path: Path) -> None:
    """The check of test names reports those of another file and those without a file."""
    (tmp_path / "test_a.py").write_text("def test_one() -> None: ...\n")
    page = tmp_path / "page.md"
    page.write_text("| a |\n|---|\n| [a](test_a.py): `test_one`, `test_two` |\n| `test_one` |\n")
    assert _unknown_tests(page) == ["test_two", "test_one"]


def test_the_readme_is_short() -> None:
    """The README has at most as many words as `wc -w` may count."""
    assert len(README.read_text(encoding="utf-8").split()) <= README_MAX_WORDS


@pytest.mark.slow
def test_the_python_of_the_readme_runs(recommender_address: str) -> None:
    """The README's example prints three scored titles when its address is a running service's."""
    (script,) = [listing.text for listing in listings(README) if listing.language == "python"]
    assert 'Recommender("localhost:50051")' in script
    script = script.replace('"localhost:50051"', f'"{recommender_address}", timeout_s=60')
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, run.stderr
    assert len(re.findall(r"^\d\.\d{3}  \S", run.stdout, re.MULTILINE)) == 3


def test_pre_commit_runs_the_checks_of_make_check() -> None:
    """Each command of `make check` is a hook's command."""
    recipe = re.search(r"^check:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe is not None
    commands = [line.strip("\t@").replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(commands) - set(re.findall(r"entry: (.+)", hooks)) == set()
