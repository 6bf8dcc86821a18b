"""Command line: `python -m trainer` trains and publishes a release; `python -m trainer --help` lists the commands."""

from __future__ import annotations

import sys


def main(argv: list[str]) -> int:
    """Run a command and return its exit status; 130 if it was interrupted, even while modules are imported."""
    try:
        from trainer.cli.main import main

        return main(argv)
    except KeyboardInterrupt:
        print("interrupted: nothing was published", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
