"""`python -m recommender_service`: settings come from the environment, see settings.py."""

from __future__ import annotations

import asyncio
import os
import sys

from recommender_service import logs
from recommender_service.server import CannotListen, serve
from recommender_service.settings import Settings, SettingsError


def main() -> int:
    """Returns the exit status: 0 after a graceful stop, 1 if it cannot listen, 2 for a wrong setting."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    logs.configure(settings.logging_level)
    try:
        asyncio.run(serve(settings))
    except CannotListen as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
