"""The pages that `make docs` generates from the code."""

from __future__ import annotations

from pathlib import Path

from tools.reference import PROGRAMS, parser_of, references

ROOT = Path(__file__).resolve().parents[2]


def test_the_generated_pages_are_up_to_date() -> None:
    """docs/commands.md and docs/metrics.md are what `python -m tools.reference` writes."""
    for name, text in references().items():
        assert (ROOT / name).read_text(encoding="utf-8") == text, f"{name}: run `make docs`"


def test_every_program_tells_its_arguments() -> None:
    """Each program that the page of command lines is about has a parser of its own."""
    names = [parser_of(program).prog for program in PROGRAMS]
    assert len(set(names)) == len(PROGRAMS)
    assert all(name.startswith("python -m ") for name in names)
