"""`python -m serving` starts the stand-in for TensorFlow Serving, with TensorFlow Serving's flags."""

from __future__ import annotations

import logging
import os
import signal
import sys
from importlib.metadata import version

from console import tensorflow_quietly
from serving.stand_in.flags import EXIT_STATUS, parse_flags
from serving.stand_in.settings import settings_of
from serving.stand_in.text_proto import ConfigError

log = logging.getLogger("serving")


def main(argv: list[str]) -> int:
    """Serve until a signal comes, and return the exit status: 255 if a setting, a model or a port cannot be used."""
    flags, complaints = parse_flags(argv)
    if flags.version:
        print(f"stand-in for TensorFlow ModelServer: movie-recommender {version('movie-recommender')}")
        print(f"TensorFlow Library: {version('tensorflow')}")
        return 0
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for complaint in complaints:
        log.warning(complaint)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: os._exit(0))  # replaced once there are calls to finish

    try:
        settings = settings_of(flags)
    except ConfigError as error:
        log.error("%s", error)
        return EXIT_STATUS

    # TensorFlow takes seconds to import, so that it is imported only now, when the settings are right. It would also
    # import Keras, which no SavedModel needs; told to use the old Keras, which is not installed, it does without.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    tensorflow_quietly.load()
    from serving.stand_in.folder_watcher import LoadError
    from serving.stand_in.server import CannotListen, serve

    try:
        serve(settings)
    except (LoadError, CannotListen) as error:
        log.error("%s", error)
        return EXIT_STATUS
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logging.shutdown()
    os._exit(status)  # a plain exit would wait for calls that outlast the grace period, and for a running load
