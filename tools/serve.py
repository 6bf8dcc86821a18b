"""The stack on this machine until Ctrl-C, with lines to paste. Trains first if nothing is published yet."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tools.stack import StackError, running_stack, train_release

ARTIFACTS = Path("artifacts")
SERVICE = "recommender.v1.RecommenderService"
RECOMMENDER_PORT, MODEL_SERVER_PORT = 50051, 8500


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.serve", description=__doc__)
    parser.add_argument("--dataset", default="ml-latest-small")
    arguments = parser.parse_args(argv)
    status = train_release(arguments.dataset, ARTIFACTS, "--if-none")
    if status != 0:
        return status
    for number in (signal.SIGTERM, signal.SIGINT):  # a background job of a shell starts with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        with running_stack(ARTIFACTS, RECOMMENDER_PORT, MODEL_SERVER_PORT) as stack:
            print(f"""
recommender   {stack.recommender}
model server  {stack.model_server}, {stack.model_server_kind}
logs          {ARTIFACTS}/logs/

grpcurl -plaintext -d '{{"user_id": 418, "limit": 5}}' {stack.recommender} {SERVICE}/Recommend
grpcurl -plaintext -d '{{"movie_id": 1, "limit": 5}}' {stack.recommender} {SERVICE}/SimilarMovies
{sys.executable} -m recommender_service.client recommend 418 -n 5

Ctrl-C stops everything.""")
            signal.pause()
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
