"""Starts the service: `python -m recommender_service`. settings.py lists the environment variables it reads."""

from __future__ import annotations

import argparse
import os
import sys

from console.flags import add_version
from recommender_service import logs
from recommender_service.addresses import CannotListen
from recommender_service.metrics_endpoint import answer_supervisor
from recommender_service.settings import Settings, SettingsError
from recommender_service.supervisor import WORKER_FLAG, supervise


def main(argv: list[str]) -> int:
    """Run the service. Returns 0 after a graceful stop, 1 if it cannot listen, 2 for a wrong setting."""
    arguments = _parse(argv)
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    logs.configure(settings.logging_level)
    # gRPC itself would write a line, which is no JSON, for each connection that fails to agree on TLS.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # gRPC's older client spares two changes of thread in each Predict: docs/decisions/0025-predict-calls.md.
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client")
    is_worker = arguments.worker is not None
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
                answer_supervisor(arguments.worker)
            uvloop.run(serve(settings, is_worker))  # its event loop takes a fifth less of the processor in every call
    except (CannotListen, SettingsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    about = "Serves recommendations over gRPC until it is stopped. Environment variables set it up: docs/settings.md."
    parser = argparse.ArgumentParser(prog="python -m recommender_service", description=about)
    add_version(parser)
    parser.add_argument(WORKER_FLAG, type=int, help=argparse.SUPPRESS)  # only the supervisor gives it
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
