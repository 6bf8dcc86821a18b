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

from events.errors import EventStoreError
from events.event import number_of_key
from events.store import EventStore


def main(argv: list[str]) -> int:
    """Run the command and return the exit status."""
    arguments = _parse(argv)
    try:
        store = EventStore(arguments.url)
        print(_export(store, arguments.file) if arguments.command == "export" else _forget(store, arguments))
    except EventStoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename or arguments.file}: {error.strerror or error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        print("error: pyarrow is not installed: pip install '.[trainer]'", file=sys.stderr)
        return 1
    return 0


def _forget(store: EventStore, arguments: argparse.Namespace) -> str:
    user = number_of_key(arguments.user) if arguments.key else int(arguments.user)
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
    url = os.environ.get("EVENTS_URL", "")
    parser.add_argument("--url", default=url, required=not url, help="of the store (default: $EVENTS_URL)")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    forget = subparsers.add_parser("forget", help="remove a user's events, and keep the user out of later releases")
    forget.add_argument("user", help="the user's id, or with --key their key")
    forget.add_argument("--key", action="store_true", help="USER is a key, because the ratings know users by text")
    export = subparsers.add_parser("export", help="write all events to a Parquet file")
    export.add_argument("file", type=Path, metavar="FILE", help="is replaced if it exists")
    arguments = parser.parse_args(argv)
    if arguments.command == "export":
        return arguments
    if not arguments.key and not (arguments.user.isascii() and arguments.user.isdecimal()):
        parser.error(f"expected the id of a user, or --key; got {arguments.user[:40]!r}")
    return arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
