"""`python -m tests.conformance prepare FOLDER`: the models and configurations that the conformance suite needs.

Prints what to start a TensorFlow Serving with, and how to run the suite against it. The server must see the folder
under the same path, because tests put new versions there and name the path in HandleReloadConfigRequest.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conformance.prepared import flags, prepare


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    if len(argv) != 2 or argv[0] != "prepare":
        print("usage: python -m tests.conformance prepare FOLDER", file=sys.stderr)
        return 2
    folder = Path(argv[1]).resolve()
    if folder.exists() and any(folder.iterdir()):
        print(f"error: expected a new or empty folder, got {folder}", file=sys.stderr)
        return 1
    prepare(folder)
    print("# one server as it is, and one that batches:")
    for ports, batching in (("--port=8500 --rest_api_port=8501", False), ("--port=8510", True)):
        print(f"tensorflow_model_server {ports} \\\n    " + " \\\n    ".join(flags(folder, batching)))
    print("# then:")
    print(
        "TF_SERVING_ADDRESS=localhost:8500 TF_SERVING_REST_ADDRESS=localhost:8501 \\\n"
        f"    TF_SERVING_BATCHING_ADDRESS=localhost:8510 TF_SERVING_FOLDER={folder} make conformance"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
