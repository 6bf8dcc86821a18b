"""Keeps local folders at what a bucket holds: `python -m recommender_service.synchronise --models DIR`.

The service runs it for its releases if ARTIFACTS is set. Run it beside TensorFlow Serving for its models. It reads
ARTIFACTS, ARTIFACTS_EVERY_S, VERIFY_KEY_FILE and LOG_LEVEL as the service does.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from object_storage.bucket import Bucket, ObjectStorageError
from object_storage.mirror import Mirror, follow
from recommender_service import logs
from recommender_service.settings import Settings, SettingsError

log = logging.getLogger(__name__)

CHILD_FLAG = "--until-standard-input-ends"  # comes first


def main(argv: list[str]) -> int:
    """Synchronise until SIGTERM or Ctrl-C. Returns 0 then, 1 if a folder is not usable, 2 for a wrong setting."""
    parser = argparse.ArgumentParser(
        prog="python -m recommender_service.synchronise",
        description="Keeps folders at what the bucket ARTIFACTS holds.",
    )
    parser.add_argument("--releases", type=Path, metavar="DIR", help="the folder that recommenders read")
    parser.add_argument("--models", type=Path, metavar="DIR", help="the base path of the model server's model")
    is_child = argv[:1] == [CHILD_FLAG]
    arguments = parser.parse_args(argv[1:] if is_child else argv)
    try:
        settings = Settings.from_environment(os.environ)
        if not settings.artifacts:
            raise SettingsError("ARTIFACTS: expected the URL of a bucket, got nothing")
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.releases is None and arguments.models is None:
        parser.error("expected --releases DIR, --models DIR or both, got neither")
    if is_child:  # a signal to the whole group is the parent's business
        threading.Thread(target=_end_with_standard_input, daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN if is_child else _end)
    logs.configure(settings.logging_level)
    try:
        mirror = Mirror(Bucket(settings.artifacts), arguments.releases, arguments.models, settings.verify_key_file)
        follow(mirror, settings.artifacts_every_s)
    except (ObjectStorageError, OSError) as error:
        log.error("not synchronised", extra={"fields": {"reason": str(error)}})
        return 1


def _end_with_standard_input() -> None:
    sys.stdin.read()
    _end()


def _end(*_: object) -> None:
    """End at once: whatever is half done, the next look goes on with it."""
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
