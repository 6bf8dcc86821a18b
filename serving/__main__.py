"""`python -m serving`: TensorFlow Serving's gRPC API over TensorFlow's Python runtime, started with the same flags."""

from __future__ import annotations

import logging
import os
import signal
import sys

from serving.config import ConfigError, models_from
from serving.flags import ignored_flags, parse_flags
from serving.monitoring import metrics_path

log = logging.getLogger("serving")


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 after a graceful stop, 1 if the models or the port cannot be served."""
    flags = parse_flags(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it advises against the version-1 API at every load
    if ignored := ignored_flags(argv):
        log.warning("without effect in this stand-in: --%s", ", --".join(ignored))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: os._exit(0))  # until there is something to finish first

    try:
        models, where_metrics_are = models_from(flags), metrics_path(flags)
    except ConfigError as error:
        log.error("%s", error)
        return 1

    # TensorFlow takes seconds to import, and a wrong setting should not wait for it
    from serving.server import CannotListen, serve
    from serving.watcher import LoadError

    try:
        serve(flags, models, where_metrics_are)
    except (LoadError, CannotListen) as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logging.shutdown()
    os._exit(status)  # a plain exit would wait for calls that have outlived the grace, and for a load under way
