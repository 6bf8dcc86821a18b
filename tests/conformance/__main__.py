"""`python -m tests.conformance prepare FOLDER` writes the models and configurations that the conformance suite needs.

It prints how to start TensorFlow Serving with them, and how to run the suite. The server must see the folder under the
same path as the suite, because tests put new versions there and send the path in HandleReloadConfigRequest.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conformance.prepared import flags, prepare

SERVERS = (
    ("the server that most tests ask", "--port=8500 --rest_api_port=8501", False),
    ("one that batches", "--port=8510", True),
    ("one that the last test leaves unable to take another configuration", "--port=8520", False),
)


def main(argv: list[str]) -> int:
    """Write the folder, print the commands, and return the exit status."""
    if len(argv) != 2 or argv[0] != "prepare":
        print("usage: python -m tests.conformance prepare FOLDER", file=sys.stderr)
        return 2
    folder = Path(argv[1]).resolve()
    if folder.exists() and any(folder.iterdir()):
        print(f"error: expected a new or empty folder, got {folder}", file=sys.stderr)
        return 1
    prepare(folder)
    for purpose, ports, batching in SERVERS:
        print(f"# {purpose}:")
        print(f"tensorflow_model_server {ports} \\\n    " + " \\\n    ".join(flags(folder, batching)))
    print("# the suite:")
    print(
        "TF_SERVING_ADDRESS=localhost:8500 TF_SERVING_REST_ADDRESS=localhost:8501 \\\n"
        "    TF_SERVING_BATCHING_ADDRESS=localhost:8510 TF_SERVING_EXPENDABLE_ADDRESS=localhost:8520 \\\n"
        f"    TF_SERVING_FOLDER={folder} make conformance"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
