"""Build the site of the pages in Markdown: `python -m tools.docs_site FOLDER`.

The site has the layout of the repository, so links between pages stay as they are. Where a page links to a file that
is no page, such as code, the site has a page that shows that file; where it links to a folder without a README.md, one
that lists it. So every link leads somewhere without a network.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "mkdocs.yml"
PAGES, SITE = "pages", "site"  # docs_dir and site_dir of CONFIG
LOOKS = "docs/site"
INDEX = "README.md"  # what a folder shows first
SHOWN = "repository"  # folder of the site that shows files that are no pages
AS_THEY_ARE = (".svg", ".binpb")  # a picture, and what nobody can read
LANGUAGES = {".py": "python", ".yml": "yaml", ".yaml": "yaml", ".json": "json", ".js": "javascript", ".toml": "toml"}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def main(argv: list[str]) -> int:
    """Returns the exit status: 1 if a link leads nowhere or the site cannot be built, 2 for wrong usage."""
    if len(argv) != 1:
        print("usage: python -m tools.docs_site FOLDER", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        status = build(Path(scratch))
        if status == 0:
            shutil.rmtree(argv[0], ignore_errors=True)
            shutil.move(Path(scratch) / SITE, argv[0])
            print(f"open {Path(argv[0]) / 'index.html'}")
    return status


def build(into: Path) -> int:
    """Lay out the pages below the folder `into`, make the site of them there, and return Zensical's exit status."""
    shutil.copyfile(ROOT / CONFIG, into / CONFIG)
    files = _tracked_files()
    shutil.copytree(ROOT / LOOKS, into / PAGES / LOOKS)
    for name in files:
        if name.endswith(".md"):
            _lay_out(name, files, into / PAGES)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", CONFIG]
    return subprocess.run(command, cwd=into, check=False).returncode


def _tracked_files() -> set[str]:
    """Paths of the files that git tracks, and of new ones that it does not ignore, relative to the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return {name for name in names if name and (ROOT / name).exists()}


def _lay_out(name: str, files: set[str], pages: Path) -> None:
    """Write a page with its links adapted, and a page for each file or folder that it links to."""

    def adapted(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), link[1]))
        if target.endswith(".md") or (target not in files and not _inside(target, files)):
            return link[1]  # a page, or nothing: Zensical says so
        shown = _show(target, files, pages)
        return posixpath.relpath(shown, posixpath.dirname(name) or ".")

    _write(pages / name, LINK.sub(adapted, (ROOT / name).read_text(encoding="utf-8")))


def _show(target: str, files: set[str], pages: Path) -> str:
    """Return the path, within the site, of what shows a file or a folder of the repository; write it if need be."""
    if target.endswith(AS_THEY_ARE):
        (pages / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / target, pages / target)
        return target
    index = posixpath.normpath(f"{target}/{INDEX}")
    if index in files:
        return index
    text = (ROOT / target).read_text(encoding="utf-8") if target in files else "\n".join(sorted(_inside(target, files)))
    language = LANGUAGES.get(PurePosixPath(target).suffix, "text")
    shown = "/".join((SHOWN, *(part.lstrip(".") for part in target.split("/")))) + ".md"  # Zensical skips hidden files
    fence = "`" * 8  # more than any file has in a row
    hidden = "---\nsearch: {exclude: true}\n---\n"  # else code would fill the results of the site's search
    _write(pages / shown, f"{hidden}# {target}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n")
    return shown


def _inside(folder: str, files: set[str]) -> list[str]:
    return [name for name in files if name.startswith(f"{folder}/")]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
