"""Runs a command of the command line, and turns what went wrong into one line and an exit status."""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import sys

from events.errors import EventStoreError
from object_storage.bucket import ObjectStorageError
from trainer.cli.arguments import parse_arguments
from trainer.cli.experiments import compare, evaluate, tune
from trainer.cli.inspect import inspect
from trainer.cli.releases import releases, report
from trainer.cli.train import train
from trainer.cli.watch import BUSY_STATUS, watch
from trainer.data.movielens import DownloadError
from trainer.data.records import DataError
from trainer.release.errors import ReleaseError, TrainerRunning

COMMANDS = {
    "train": train,
    "watch": watch,
    "inspect": inspect,
    "evaluate": evaluate,
    "compare": compare,
    "tune": tune,
    "report": report,
    "releases": releases,
}
AWAY_STATUS = 4
NO_SPACE = os.strerror(errno.ENOSPC)
REPORT_PACKAGES = ("optuna", "plotly", "sklearn")  # in the extra `report`, which an image that only trains lacks


def main(argv: list[str]) -> int:
    """Run a command and return the exit status. Wrong flags end the process with status 2."""
    return run(parse_arguments(argv))


def run(arguments: argparse.Namespace) -> int:
    """Run a command with its flags, and return the exit status.

    It is 1 if the data or the releases do not allow the command, 3 if another trainer is training, and 4 if the bucket
    cannot be reached, so that the same command may succeed later.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a title that the terminal cannot show must not end a run
    logging.basicConfig(level=logging.INFO, handlers=[_console()])
    try:
        COMMANDS[arguments.command](arguments)
    except TrainerRunning as error:
        print(f"error: {error}", file=sys.stderr)
        return BUSY_STATUS
    except ObjectStorageError as error:
        print(f"error: {error}", file=sys.stderr)
        return AWAY_STATUS
    except (DataError, DownloadError, ReleaseError, EventStoreError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if error.name not in REPORT_PACKAGES:
            raise
        print(f"error: {error.name} is not installed: pip install '.[report]'", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"error: {error.filename or 'writing'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except Exception as error:  # TensorFlow and Annoy raise errors of their own if the disk is full
        if NO_SPACE not in str(error):
            raise
        print(f"error: {NO_SPACE}: nothing was published", file=sys.stderr)
        return 1
    return 0


class _WithFields(logging.Formatter):
    """Shows the fields of a record too, which the service's log has as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        fields = ", ".join(f"{name} {value}" for name, value in getattr(record, "fields", {}).items())
        return f"{super().format(record)}: {fields}" if fields else super().format(record)


def _console() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_WithFields("%(message)s"))
    return handler
