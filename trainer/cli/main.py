"""Runs a command of the command line, and turns what went wrong into one line and an exit status."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys

from console.output import FAILED, guarded, print_error, visible
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
from trainer.workers.errors import WorkerLost, WorkersError

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
LOST_STATUS = 138  # Kubeflow restarts a worker that ends with it, and none that ends with a status below 128
NO_SPACE = os.strerror(errno.ENOSPC)
REPORT_PACKAGES = (
    "jinja2",
    "markupsafe",
    "matplotlib",
    "optuna",
    "sklearn",
)  # in the extra `report`, which an image that only trains lacks


def main(argv: list[str]) -> int:
    """Run a command and return the exit status. Wrong flags end the process with status 2."""
    return guarded(lambda: _run(parse_arguments(argv)))


def run(arguments: argparse.Namespace) -> int:
    """Run a command with its flags, and return the exit status."""
    return guarded(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    """Run a command with its flags, and return the exit status.

    It is 1 if the data or the releases do not allow the command, 3 if another trainer is training, 4 if the bucket
    cannot be reached, and 138 if another worker is gone, so that the same command may succeed later.
    """
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(_Visible("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    try:
        COMMANDS[arguments.command](arguments)
    except TrainerRunning as error:
        print_error(error)
        return BUSY_STATUS
    except ObjectStorageError as error:
        print_error(error)
        return AWAY_STATUS
    except WorkerLost as error:
        print_error(error)
        return LOST_STATUS
    except (DataError, DownloadError, ReleaseError, EventStoreError, WorkersError) as error:
        print_error(error)
        return FAILED
    except ModuleNotFoundError as error:
        if error.name not in REPORT_PACKAGES:
            raise
        print_error(f"{error.name} is not installed: pip install '.[report]'")
        return FAILED
    except MemoryError as error:
        print_error(f"out of memory, so that nothing was published: {error}")
        return FAILED
    except OSError:
        raise
    except Exception as error:  # TensorFlow and Annoy raise errors of their own if the disk is full
        if NO_SPACE not in str(error):
            raise
        print_error(f"{NO_SPACE}: nothing was published")
        return FAILED
    return 0


class _Visible(logging.Formatter):
    """Shows the fields of a record too, and keeps each on one line, whatever a file's title or name holds."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = ", ".join(f"{name} {value}" for name, value in getattr(record, "fields", {}).items())
        message = super().formatMessage(record)
        return visible(f"{message}: {fields}" if fields else message)
