"""The command `inspect`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from console.output import visible
from trainer.cli.inputs import reading_of
from trainer.data.movielens import find_dataset
from trainer.data.odd_rows import odd_lines


def inspect(arguments: argparse.Namespace) -> None:
    """Print what is understood of a data set, and its oddest rows, without training."""
    dataset = find_dataset(arguments.dataset, arguments.data, arguments.cache, reading_of(arguments))
    if dataset.understood is not None:
        _print(dataset.understood.lines)
        _print(("the oddest rows:", *odd_lines(dataset.understood.odd_rows)))


def _print(lines: Iterable[str]) -> None:
    print("\n".join(map(visible, lines)), flush=True)
