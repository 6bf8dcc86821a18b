"""`python -m serving`: TensorFlow Serving's gRPC API over TensorFlow's Python runtime, started with the same flags."""

from __future__ import annotations

import logging
import os
import signal
import sys
from importlib.metadata import version

from serving.stand_in.flags import EXIT_STATUS, parse_flags
from serving.stand_in.model_config import ConfigError
from serving.stand_in.settings import settings_of

log = logging.getLogger("serving")


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 after a graceful stop, 255 if the models or the port cannot be served."""
    flags, complaints = parse_flags(argv)
    if flags.version:
        print(f"stand-in for TensorFlow ModelServer\nTensorFlow Library: {version('tensorflow')}")
        return 0
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it advises against the version-1 API at every load
    for complaint in complaints:
        log.warning(complaint)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: os._exit(0))  # until there is something to finish first

    try:
        settings = settings_of(flags)
    except ConfigError as error:
        log.error("%s", error)
        return EXIT_STATUS

    # TensorFlow takes seconds to import, and a wrong setting should not wait for it. It brings Keras along, which no
    # SavedModel needs: 2.3 of 5.7 s. Told to use the old Keras, which is not installed, it does without.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
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
    os._exit(status)  # a plain exit would wait for calls that have outlived the grace, and for a load under way
