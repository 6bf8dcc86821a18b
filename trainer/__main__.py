"""Command line: `python -m trainer` trains and publishes a release; `python -m trainer --help` lists the commands."""

from __future__ import annotations

import logging
import sys

from trainer.cli.arguments import parse_arguments
from trainer.cli.experiments import compare, evaluate, tune
from trainer.cli.releases import releases, report
from trainer.cli.train import train
from trainer.data.movielens import DownloadError
from trainer.data.records import DataError
from trainer.release.errors import ReleaseError

COMMANDS = {
    "train": train,
    "evaluate": evaluate,
    "compare": compare,
    "tune": tune,
    "report": report,
    "releases": releases,
}
REPORT_PACKAGES = ("optuna", "plotly", "sklearn")  # in the extra `report`, which an image that only trains lacks


def main(argv: list[str]) -> int:
    """Run a command and return the exit status, 1 if the data or the releases do not allow it.

    Wrong flags end the process with status 2.
    """
    arguments = parse_arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        COMMANDS[arguments.command](arguments)
    except (DataError, DownloadError, ReleaseError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if error.name not in REPORT_PACKAGES:
            raise
        print(f"error: {error.name} is not installed: pip install '.[report]'", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
