"""Starts the service: `python -m recommender_service`. settings.py lists the environment variables it reads."""

from __future__ import annotations

import os
import sys

from recommender_service import logs
from recommender_service.addresses import CannotListen
from recommender_service.metrics_endpoint import answer_supervisor
from recommender_service.settings import Settings, SettingsError
from recommender_service.supervisor import WORKER_FLAG, supervise


def main() -> int:
    """Run the service. Returns 0 after a graceful stop, 1 if it cannot listen, 2 for a wrong setting."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    logs.configure(settings.logging_level)
    # gRPC itself would write a line, which is no JSON, for each connection that fails to agree on TLS.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    is_worker = sys.argv[1:2] == [WORKER_FLAG]
    if settings.artifacts and not is_worker:
        from recommender_service.synchroniser import start_synchroniser  # not at the top: without a bucket, not needed

        start_synchroniser(settings)
    try:
        if settings.workers > 1:
            supervise(settings)
        else:
            import uvloop  # not at the top: a supervisor must load neither this nor grpc

            from recommender_service.server import serve

            if is_worker:
                answer_supervisor(int(sys.argv[2]))
            uvloop.run(serve(settings, is_worker))  # its event loop takes a fifth less of the processor in every call
    except CannotListen as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
