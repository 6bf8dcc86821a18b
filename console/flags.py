"""Flags that every command line has, and file names that shells complete."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import shtab

PACKAGE = "movie-recommender"


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add `--version`: that of the installed package, which pyproject.toml states."""
    parser.add_argument("--version", action="version", version=f"{PACKAGE} {version(PACKAGE)}")


def add_completion(parser: argparse.ArgumentParser, command: str) -> None:
    """Add `--print-completion SHELL`.  command: the installed program that the shell is to complete."""
    parser.add_argument(
        "--print-completion",
        choices=("bash", "zsh", "fish"),
        action=_PrintCompletion,
        const=command,
        help=f"print what completes the command {command} in that shell",
    )


def add_path(parser: argparse._ActionsContainer, *names: str, folder: bool = False, **keywords: Any) -> None:
    """Add an argument that names a file, or a folder, so that shells complete it."""
    action = parser.add_argument(*names, type=Path, **keywords)
    vars(action)["complete"] = shtab.DIRECTORY if folder else shtab.FILE


class _PrintCompletion(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        parser.prog = str(self.const)
        print(shtab.complete(parser, str(values)))
        parser.exit()
