"""The checks of `python -m tools.style`, and of the import contracts, on small trees with one fault each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tools.style import main

ROOT = Path(__file__).resolve().parents[2]
LINT_IMPORTS = Path(sysconfig.get_path("scripts")) / "lint-imports"
PACKAGES = ("protos", "events", "trainer", "recommender_service", "serving", "web", "tools", "benchmarks", "tests")


def findings(folder: Path, name: str, text: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the check prints about a tree with that one file; its exit status says whether it found anything."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    status = main([str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert status == (0 if lines == ["style: clean"] else 1)
    return lines


def function_of(lines: int, name: str = "long") -> str:
    return f"def {name}():\n" + '    """Say what it does."""\n' + "    pass\n" * (lines - 2)


def test_a_file_of_250_lines_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The longest file allowed has no finding."""
    assert findings(tmp_path, "trainer/a.py", "pass\n" * 250, capsys) == ["style: clean"]


def test_a_file_of_251_lines_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A longer file is named with its number of lines."""
    (finding,) = findings(tmp_path, "trainer/a.py", "pass\n" * 251, capsys)
    assert finding == "trainer/a.py:251: file length: expected at most 250 lines, got 251"


def test_generated_files_and_hidden_folders_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What protoc writes and what lies in .venv is not ours to shorten."""
    assert findings(tmp_path, "protos/a_pb2.py", "pass\n" * 300, capsys) == ["style: clean"]
    assert findings(tmp_path, ".venv/a.py", "pass\n" * 300, capsys) == ["style: clean"]


def test_a_function_of_45_lines_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The longest function allowed has no finding."""
    assert findings(tmp_path, "tools/a.py", function_of(45), capsys) == ["style: clean"]


@pytest.mark.parametrize("text", [function_of(46), "async " + function_of(46)])
def test_a_function_of_46_lines_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """A longer function is named with its number of lines, whether it is async or not."""
    (finding,) = findings(tmp_path, "tools/a.py", text, capsys)
    assert finding == "tools/a.py:1: length of long: expected at most 45 lines, got 46"


def test_a_long_test_name_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A test may have a name of 60 characters; 61 are too many."""
    allowed, too_long = "test_" + "a" * 55, "test_" + "a" * 56
    assert findings(tmp_path, "tests/test_a.py", function_of(3, allowed), capsys) == ["style: clean"]
    (finding,) = findings(tmp_path, "tests/test_a.py", function_of(3, too_long), capsys)
    assert finding == "tests/test_a.py:1: name of a test: expected at most 60 characters, got 61"


def test_a_test_without_a_docstring_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every test function needs a docstring, in a class too; fixtures and functions elsewhere do not."""
    text = "def fixture(): ...\n\nclass TestAll:\n    def test_it(self): ...\n"
    (finding,) = findings(tmp_path, "tests/test_a.py", text, capsys)
    assert finding == "tests/test_a.py:4: docstring of a test: expected one sentence, got none"
    (tmp_path / "tests/test_a.py").unlink()
    assert findings(tmp_path, "trainer/a.py", text, capsys) == ["style: clean"]


@pytest.mark.parametrize("docstring", ["Raises ValueError.", "Raises ValueError or KeyError", "Raises A, B, or C."])
def test_a_docstring_that_only_raises_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], docstring: str
) -> None:
    """A docstring has to say what the function does, not only what it raises."""
    (finding,) = findings(tmp_path, "serving/a.py", f'def check(): "{docstring}"\n', capsys)
    assert finding == f"serving/a.py:1: docstring: expected a sentence that says what it does, got only {docstring!r}"


def test_a_docstring_that_also_raises_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a function raises may follow what it does."""
    text = 'def check(): "Check the limit. Raises ValueError above 500."\n'
    assert findings(tmp_path, "serving/a.py", text, capsys) == ["style: clean"]


def import_contracts(folder: Path, importer: str, imported: str) -> subprocess.CompletedProcess[str]:
    """lint-imports with this repository's contracts, on packages of which one imports another module."""
    for package in PACKAGES:
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
    (folder / importer / "importing.py").write_text(f"import {imported}\n", encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", folder)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("protos", "trainer"),
        ("events", "recommender_service"),
        ("trainer", "recommender_service"),
        ("recommender_service", "trainer"),
        ("serving", "tools"),
        ("tools", "benchmarks"),
        ("benchmarks", "tests"),
        ("recommender_service", "tensorflow"),
        ("web", "protos"),
        ("web", "recommender_service"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, importer: str, imported: str) -> None:
    """`make check` fails on an import that goes up or sideways, and names both modules."""
    run = import_contracts(tmp_path, importer, imported)
    assert run.returncode == 1
    assert f"{importer}.importing -> {imported}" in run.stdout


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("recommender_service", "events"),
        ("trainer", "events"),
        ("benchmarks", "tools"),
        ("tests", "serving"),
        ("trainer", "tensorflow"),
    ],
)
def test_an_allowed_import_is_clean(tmp_path: Path, importer: str, imported: str) -> None:
    """Imports of lower packages pass, and the trainer may use TensorFlow."""
    assert import_contracts(tmp_path, importer, imported).returncode == 0
