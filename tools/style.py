"""Check the habits of this repository that no linter knows: `python -m tools.style [FOLDER]`.

Prints one line per finding and ends with status 1 if there is one.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 250
MAX_FUNCTION_LINES = 45
MAX_TEST_NAME = 60
ONLY_RAISES = re.compile(r"Raises \w+((,| or|, or) \w+)*\.?")

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    root = Path(argv[0]) if argv else ROOT
    findings = [finding for path in _files(root) for finding in _findings(path, root)]
    for finding in findings:
        print(finding)
    if not findings:
        print("style: clean")
    return 1 if findings else 0


def _files(root: Path) -> list[Path]:
    """The Python files in the folders of `root`, without generated ones and without hidden folders."""
    folders = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(path for folder in folders for path in folder.rglob("*.py") if "_pb2" not in path.name)


def _findings(path: Path, root: Path) -> Iterator[str]:
    """Lines of the form `file:line: what: expected …, got …`, in the order of the file."""
    name = path.relative_to(root)
    text = path.read_text(encoding="utf-8")
    num_lines = len(text.splitlines())
    if num_lines > MAX_FILE_LINES:
        yield f"{name}:{num_lines}: file length: expected at most {MAX_FILE_LINES} lines, got {num_lines}"
    nodes = [node for node in ast.walk(ast.parse(text, str(path))) if isinstance(node, Documented)]
    for node in sorted(nodes, key=_line):
        is_test = name.parts[0] == "tests" and not isinstance(node, ast.Module) and node.name.startswith("test_")
        for finding in (*_docstring_findings(node, is_test), *_function_findings(node, is_test)):
            yield f"{name}:{_line(node)}: {finding}"


def _line(node: Documented) -> int:
    return 1 if isinstance(node, ast.Module) else node.lineno


def _docstring_findings(node: Documented, is_test: bool) -> Iterator[str]:
    docstring = ast.get_docstring(node)
    if is_test and not docstring:
        yield "docstring of a test: expected one sentence, got none"
    if docstring and ONLY_RAISES.fullmatch(docstring):
        yield f"docstring: expected a sentence that says what it does, got only {docstring!r}"


def _function_findings(node: Documented, is_test: bool) -> Iterator[str]:
    if isinstance(node, ast.Module | ast.ClassDef):
        return
    num_lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if num_lines > MAX_FUNCTION_LINES:
        yield f"length of {node.name}: expected at most {MAX_FUNCTION_LINES} lines, got {num_lines}"
    if is_test and len(node.name) > MAX_TEST_NAME:
        yield f"name of a test: expected at most {MAX_TEST_NAME} characters, got {len(node.name)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
