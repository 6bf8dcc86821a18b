"""The event store's command line: `python -m events forget USER` removes a user's events and leaves a note of that.

The exit status is 0 if it was done, 1 if the store cannot be used, and 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys

from events.errors import EventStoreError
from events.event import number_of_key
from events.store import EventStore


def main(argv: list[str]) -> int:
    """Run the command and return the exit status."""
    arguments = _parse(argv)
    user = number_of_key(arguments.user) if arguments.key else int(arguments.user)
    try:
        store = EventStore(arguments.url)
        store.prepare()
        num_events = store.forget(user)
    except EventStoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(
        f"removed {num_events:,} events. Services that share the store treat the user as unknown within a second, and "
        "releases that are trained from now on leave the user out."
    )
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m events", description="Looks after an event store.")
    url = os.environ.get("EVENTS_URL", "")
    parser.add_argument("--url", default=url, required=not url, help="of the store (default: $EVENTS_URL)")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    forget = subparsers.add_parser("forget", help="remove a user's events, and keep the user out of later releases")
    forget.add_argument("user", help="the user's id, or with --key their key")
    forget.add_argument("--key", action="store_true", help="USER is a key, because the ratings know users by text")
    arguments = parser.parse_args(argv)
    if not arguments.key and not (arguments.user.isascii() and arguments.user.isdecimal()):
        parser.error(f"expected the id of a user, or --key; got {arguments.user[:40]!r}")
    return arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
