"""Loads releases into Milvus: `python -m recommender_service.milvus_loader`. Run one beside any number of recommenders.

It reads ANN, MILVUS_URI, MILVUS_TOKEN, RELEASES_DIR, VERIFY_KEY_FILE and LOG_LEVEL as the service does.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from contextlib import closing

from grpc import RpcError

from recommender_service import logs
from recommender_service.settings import Settings, SettingsError

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


def main(argv: list[str]) -> int:
    """Load until SIGTERM or Ctrl-C. Returns 0 then, and 2 for a wrong setting."""
    parser = argparse.ArgumentParser(
        prog="python -m recommender_service.milvus_loader",
        description="Keeps Milvus at the releases in RELEASES_DIR, for recommenders with ANN=milvus.",
    )
    parser.parse_args(argv)
    try:
        settings = Settings.from_environment(os.environ)
        if not settings.milvus_uri:
            raise SettingsError("ANN: expected milvus, got annoy")
        if settings.milvus_is_file:
            raise SettingsError("MILVUS_URI: expected http://host:port, because a service loads its file itself")
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    logs.configure(settings.logging_level)
    logs.silence("pymilvus")
    problem = ""
    while True:
        problem = _follow(settings, problem)
        time.sleep(LOOK_EVERY_S)


def _follow(settings: Settings, problem: str) -> str:
    """Load releases until something fails. Returns what, and logs it unless it is `problem` once more."""
    from pymilvus import MilvusClient, MilvusException  # not at the top: settings are checked first

    from recommender_service.milvus.loading import Loader

    try:
        client = MilvusClient(settings.milvus_uri, token=settings.milvus_token, timeout=LOOK_EVERY_S)
        with closing(client):
            loader = Loader(client, settings.releases_dir, settings.verify_key_file)
            while True:
                loader.look()
                if problem:
                    log.info("Milvus reached again")
                problem = ""
                time.sleep(LOOK_EVERY_S)
    except (MilvusException, RpcError, OSError) as error:
        reason = str(getattr(error, "message", error))
        if reason != problem:
            log.error("Milvus not loaded", extra={"fields": {"reason": reason}})
        return reason


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
