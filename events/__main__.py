"""The event store's command line.

`python -m events forget USER` removes a user's events and leaves a note of that. `python -m events export FILE` writes
all events to a Parquet file.

The exit status is 0 if it was done, 1 if the store cannot be used, and 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from console.flags import add_completion, add_path, add_version
from console.output import FAILED, INTERRUPTED, guarded, print_error
from console.values import text, whole_number
from events.errors import EventStoreError
from events.event import number_of_key
from events.store import EventStore

COMMAND = "recommender-events"  # the program's name once the package is installed
MAX_ID = 2**63 - 1


def program() -> int:
    """Run what the process was started with, and return the exit status: the installed program."""
    return main(sys.argv[1:])


def main(argv: list[str]) -> int:
    """Run the command and return the exit status."""
    try:
        return guarded(lambda: _run(argv))
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(argv: list[str]) -> int:
    arguments = _parse(argv)
    try:
        store = EventStore(arguments.url)
        print(_export(store, arguments.file) if arguments.command == "export" else _forget(store, arguments))
    except EventStoreError as error:
        print_error(error)
        return FAILED
    except BrokenPipeError:
        raise
    except OSError as error:
        print_error(f"{error.filename or arguments.file}: {error.strerror or error}")
        return FAILED
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        print_error("pyarrow is not installed: pip install '.[trainer]'")
        return FAILED
    return 0


def _forget(store: EventStore, arguments: argparse.Namespace) -> str:
    user = number_of_key(arguments.user) if arguments.key else arguments.user
    store.prepare()
    num_events = store.forget(user)
    return (
        f"removed {num_events:,} events. Services that share the store treat the user as unknown within a second, "
        "and releases that are trained with --events from now on leave the user out."
    )


def _export(store: EventStore, path: Path) -> str:
    from events.export import export  # not at the top: the service's image has no pyarrow

    return f"wrote {export(store, path):,} events to {path}"


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m events", description="Looks after an event store.")
    add_version(parser)
    add_completion(parser, COMMAND)
    url = os.environ.get("EVENTS_URL", "")
    parser.add_argument("--url", default=url, required=not url, help="of the store (default: $EVENTS_URL)")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    forget = subparsers.add_parser("forget", help="remove a user's events, and keep the user out of later releases")
    forget.add_argument("user", type=text, help="the user's id, or with --key their key")
    forget.add_argument("--key", action="store_true", help="USER is a key, because the ratings know users by text")
    export = subparsers.add_parser("export", help="write all events to a Parquet file")
    add_path(export, "file", metavar="FILE", help="is replaced if it exists")
    arguments = parser.parse_args(argv)
    if arguments.command == "export":
        return arguments
    if not arguments.key:
        try:
            arguments.user = whole_number(0, MAX_ID)(arguments.user)
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument user: {error}; or --key with it")
    return arguments


if __name__ == "__main__":
    sys.exit(program())
