"""Command line: `python -m trainer` trains and publishes a release; `python -m trainer --help` lists the commands."""

from __future__ import annotations

import sys

from console.output import INTERRUPTED


def program() -> int:
    """Run what the process was started with, and return the exit status: the installed program."""
    return main(sys.argv[1:])


def main(argv: list[str]) -> int:
    """Run a command and return its exit status; 130 if it was interrupted, even while modules are imported."""
    try:
        from trainer.cli.main import main

        return main(argv)
    except KeyboardInterrupt:
        print("interrupted: nothing was published", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(program())
