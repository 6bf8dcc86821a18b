"""The trainer's command line with a checkpoint after each epoch: `… tests.support.train_as_worker FLAGS`."""

from __future__ import annotations

import sys

from trainer.cli.main import main
from trainer.model import checkpoints

if __name__ == "__main__":
    checkpoints.EVERY_S = 0.0
    sys.exit(main(sys.argv[1:]))
