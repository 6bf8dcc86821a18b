"""Each image has every package of this repository that its programs import."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"protos", "events", "object_storage", "trainer", "recommender_service", "serving", "web"}
RECIPES = sorted((ROOT / "deploy").glob("*.Dockerfile"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_an_image_has_the_packages_that_it_imports(recipe: Path) -> None:
    """The packages that a Dockerfile copies import no package of this repository that it does not copy."""
    copied = set(re.findall(r"^COPY (\w+) \1$", recipe.read_text(), re.MULTILINE)) & OURS
    needed = {name for package in copied for module in (ROOT / package).rglob("*.py") for name in _imported(module)}
    assert needed <= copied


def _imported(module: Path) -> set[str]:
    """The top-level packages of this repository that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names & OURS
